#include "cli/data_info.h"

#include <nlohmann/json.hpp>

#include "cli/checks.h"
#include "cli/output.h"
#include "cli/window_flags.h"

namespace tandem::cli {
namespace {

using Json = nlohmann::ordered_json;

struct Options {
  std::string path;
  RawFormat format = RawFormat::none;
  uint32_t sequence_length = 0;  // 0: no windows asked for
  bool json = false;
};

// The value, or null for 0, which stands for what a file does not tell.
Json known(uint64_t value) {
  return value > 0 ? Json(value) : Json();
}

Json windows_json(const std::shared_ptr<const TokenFile>& file, uint32_t sequence_length, Packing packing) {
  const Windows windows({file}, {.sequence_length = sequence_length, .packing = packing});
  const WindowCounts& c = windows.counts();
  const double places = double(c.windows) * sequence_length;
  return {{"windows", c.windows},
          {"windows_without_targets", c.without_targets},
          {"fill", c.windows > 0 ? Json(double(c.inputs) / places) : Json()},
          {"documents_cut", c.documents_cut ? Json(*c.documents_cut) : Json()}};
}

std::string text_of(const Json& value) {
  return value.is_null() ? "unknown" : value.dump();
}

std::string windows_text(const char* packing, const Json& j) {
  if (j.is_null()) return fmt::format("  {}: not known without document starts\n", packing);
  return fmt::format("  {}: {} windows, fill {}, {} without targets, documents cut: {}\n", packing,
                     j.at("windows").dump(),
                     j.at("fill").is_null() ? "-" : fmt::format("{:.3f}", j.at("fill").get<double>()),
                     j.at("windows_without_targets").dump(), text_of(j.at("documents_cut")));
}

Exit info(const Options& o) {
  const auto file = std::make_shared<const TokenFile>(o.path, o.format);
  const Documents& documents = file->documents();
  Json j{{"format", name_of(file->format())},
         {"tokens", file->size()},
         {"vocabulary_size", known(uint64_t(file->vocabulary_size()))},
         {"targets", file->targets()},
         {"documents", known(documents.count())},
         {"longest_document", known(documents.longest())}};
  if (o.sequence_length > 0) {
    j["stream"] = windows_json(file, o.sequence_length, Packing::stream);
    j["whole"] = documents.known() ? windows_json(file, o.sequence_length, Packing::whole) : Json();
  }
  if (o.json) return print(j.dump() + "\n"), Exit::ok;
  print(fmt::format("{}: {}, {} tokens, vocabulary {}, {} targets, documents: {}, the longest: {} tokens\n", o.path,
                    name_of(file->format()), file->size(), text_of(j.at("vocabulary_size")), file->targets(),
                    text_of(j.at("documents")), text_of(j.at("longest_document"))));
  if (o.sequence_length > 0) print(windows_text("stream", j.at("stream")) + windows_text("whole", j.at("whole")));
  return Exit::ok;
}

}  // namespace

void add_data_info(CLI::App& data, Action& action) {
  CLI::App* command = data.add_subcommand("info", "What a token file holds");
  auto o = std::make_shared<Options>();
  command->add_option("file", o->path, "a token file: LLMQ or llm.c .bin, a Megatron .idx")->required();
  add_format_flag(*command, o->format);
  command->add_option("--sequence-length", o->sequence_length, "count the windows of so many tokens, too")
      ->transform(whole_number(1, 1 << 20));
  command->add_flag("--json", o->json, "one JSON object on standard output");
  command->callback([&action, o] { action = [o] { return info(*o); }; });
}

}  // namespace tandem::cli
