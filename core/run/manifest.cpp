#include "core/run/manifest.h"

#include "core/base/hash.h"

namespace tandem {
namespace {

constexpr std::string_view kFormat = "tandem-checkpoint";
constexpr uint64_t kVersion = 1;

Json json_of(const Manifest& m) {
  Json inputs = Json::array();
  for (const InputFile& file : m.inputs)
    inputs.push_back({{"path", file.path}, {"bytes", file.bytes}, {"xxh3", file.hash}});
  Json files = Json::object();
  for (const auto& [name, file] : m.files)
    files[name] = {{"bytes", file.bytes}, {"header_xxh3", file.header_hash}, {"xxh3", file.hashes}};
  Json json{{"format", kFormat},
            {"version", kVersion},
            {"step", m.step},
            {"sequence", m.sequence},
            {"tokens", m.tokens},
            {"t", m.t},
            {"skipped_in_a_row", m.skipped},
            {"config", m.config},
            {"plan",
             {{"backend", m.backend},
              {"device", m.device},
              {"micro_batch", m.micro_batch},
              {"gradient_accumulation", m.accumulation},
              {"lm_head_chunks", m.head_chunks},
              {"kernels", m.kernels}}},
            {"world", tandem::json_of(m.world)},
            {"inputs", inputs},
            {"files", files}};
  if (m.last_norm) json["last_norm"] = *m.last_norm;
  if (!m.adapter_config.empty()) json["adapter_config"] = m.adapter_config, json["base"] = m.base;
  return json;
}

// an object whose keys must all be there; getting them fails by name
class Reader {
 public:
  Reader(const Json& value, const std::string& path) : value_(value), object_(value, path, Exit::input), path_(path) {}

  std::string text(std::string_view key) const { return object_.require(key), *object_.string(key); }
  uint64_t number(std::string_view key, uint64_t most = std::numeric_limits<uint64_t>::max()) const {
    return object_.require(key), *object_.integer(key, 0, most);
  }
  const Json& part(std::string_view key) const { return object_.require(key), *object_.find(key); }
  Reader object(std::string_view key) const { return {part(key), path_}; }
  const Json& value() const { return value_; }

 private:
  const Json& value_;
  JsonObject object_;
  const std::string& path_;
};

CheckpointFile file_of(const Reader& reader, const std::string& path) {
  CheckpointFile file{reader.number("bytes"), reader.text("header_xxh3"), {}};
  const Reader hashes = reader.object("xxh3");
  for (const auto& item : hashes.value().items()) file.hashes.emplace(item.key(), hashes.text(item.key()));
  if (file.hashes.empty()) fail(Exit::input, path, "has a file without tensors");
  return file;
}

// Checkpoints of one rank may say nothing.
WorldRecord world_of(const Reader& root, const Json& json) {
  if (!json.contains("world")) return {};
  constexpr uint64_t kMost = std::numeric_limits<uint32_t>::max();
  const Reader world = root.object("world");
  return {uint32_t(world.number("ranks", kMost)), uint32_t(world.number("hosts", kMost)),
          uint32_t(world.number("zero", kMost)), world.text("collectives")};
}

void check_format(const Reader& root, const std::string& path) {
  if (const std::string format = root.text("format"); format != kFormat)
    fail(Exit::input, path, "has the format {:.60}, expected {}: this is not a checkpoint of Tandem", format, kFormat);
  if (const uint64_t version = root.number("version"); version != kVersion)
    fail(Exit::input, path, "has version {}, this program reads version {}", version, kVersion);
}

}  // namespace

Json json_of(const WorldRecord& world) {
  return {{"ranks", world.ranks}, {"hosts", world.hosts}, {"zero", world.zero}, {"collectives", world.collectives}};
}

std::string sealed(Json json) {
  json.erase("manifest_xxh3");
  const std::string text = json.dump();
  json["manifest_xxh3"] = xxh3(std::as_bytes(std::span(text)));
  return write_json(json);
}

std::string manifest_text(const Manifest& manifest) {
  return sealed(json_of(manifest));
}

Manifest parse_manifest(const std::string& text, const std::string& path) {
  const Json json = parse_json(text, path);
  const Reader root(json, path);
  check_format(root, path);
  if (sealed(json) != text) fail(Exit::input, path, "does not match its own hash: it is damaged");
  const Reader plan = root.object("plan");
  constexpr uint64_t kMax32 = std::numeric_limits<uint32_t>::max();
  const Position position{.step = root.number("step"),
                          .sequence = root.number("sequence"),
                          .tokens = root.number("tokens"),
                          .t = uint32_t(root.number("t", kMax32)),
                          .skipped = uint32_t(root.number("skipped_in_a_row", kMax32))};
  const auto count_if_any = [&](std::string_view key) {
    return plan.value().contains(key) ? uint32_t(plan.number(key, kMax32)) : 0;
  };
  Manifest m{position,
             root.text("config"),
             plan.text("backend"),
             plan.text("device"),
             count_if_any("micro_batch"),
             count_if_any("gradient_accumulation"),
             uint32_t(plan.number("lm_head_chunks", kMax32)),
             {},
             world_of(root, json),
             {},
             {},
             {},
             {},
             {}};
  const Reader kernels = plan.object("kernels");
  for (const auto& item : kernels.value().items()) m.kernels.emplace(item.key(), kernels.text(item.key()));
  for (const Json& item : root.part("inputs")) {
    const Reader file(item, path);
    m.inputs.push_back({file.text("path"), file.number("bytes"), file.text("xxh3")});
  }
  if (json.contains("adapter_config")) {
    m.adapter_config = root.text("adapter_config");
    const Reader base = root.object("base");
    for (const auto& item : base.value().items()) m.base.emplace(item.key(), base.text(item.key()));
  }
  if (json.contains("last_norm")) m.last_norm = uint32_t(root.number("last_norm", kMax32));
  const Reader files = root.object("files");
  for (const auto& item : files.value().items()) m.files.emplace(item.key(), file_of(files.object(item.key()), path));
  return m;
}

}  // namespace tandem
