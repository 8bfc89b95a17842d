#include "core/run/saved_state.h"

#include <algorithm>
#include <cstring>

#include "core/abi/numeric.h"
#include "core/model/adapter_directory.h"
#include "core/model/model_directory.h"
#include "core/optimizer/update.h"

namespace tandem {
namespace {

constexpr std::string_view kMaster = ".master";

bool is_adapter(std::span<const ParameterSpec> specs) {
  return specs.front().kind == ParameterKind::lora_a;
}

// The states' suffixes, in the order of their numbers; an adapter's master is its parameter's file.
std::vector<std::string> suffixes_of(const Optimizer& optimizer, std::span<const ParameterSpec> specs) {
  std::vector<std::string> suffixes;
  for (const ParameterSpec& spec : specs)
    for (const State& state : optimizer.states(spec))
      if (std::ranges::find(suffixes, state.suffix) == suffixes.end()) suffixes.push_back(state.suffix);
  if (is_adapter(specs)) std::erase(suffixes, kMaster);
  return suffixes;
}

// The binding whose bytes a file holds under the parameter's name.
std::string binding_of(const Session& session, const ParameterSpec& spec) {
  const std::string master = fmt::format("{}{}", spec.name, kMaster);
  return spec.kind >= ParameterKind::lora_a && session.has(master) ? master : spec.name;
}

// What a file holds of a parameter's stored tensors under a suffix; without one of the parameter itself.
std::vector<StoredTensor> parts_with(const Optimizer& optimizer, const ParameterSpec& spec, std::string_view suffix) {
  for (const State& state : optimizer.states(spec))
    if (state.suffix == suffix) return parts_of(state, spec);
  return spec.parts;
}

// What states are written from, or read into.
struct Kept {
  const Session& session;
  const Optimizer& optimizer;
  std::span<const ParameterSpec> specs;
};

// visit(binding, part, its name in the files) for every stored tensor with the suffix that the session keeps
template <typename Visit>
void each_tensor(const Kept& kept, std::string_view suffix, const Visit& visit) {
  for (const ParameterSpec& spec : kept.specs) {
    const std::string binding =
        suffix.empty() ? binding_of(kept.session, spec) : fmt::format("{}{}", spec.name, suffix);
    if (!kept.session.has(binding)) continue;
    const std::vector<StoredTensor> parts = parts_with(kept.optimizer, spec, suffix);
    for (size_t i = 0; i < parts.size(); ++i) visit(binding, parts[i], fmt::format("{}{}", spec.parts[i].name, suffix));
  }
}

void append_tensors(const Kept& kept, World* world, std::string_view suffix, std::vector<std::byte>& buffer,
                    std::vector<OutputTensor>& tensors) {
  const Session& session = kept.session;
  each_tensor(kept, suffix, [&](const std::string& binding, const StoredTensor& part, std::string name) {
    tensors.push_back(
        {std::move(name), {session.desc(binding).dtype, part.shape}, [&session, world, &buffer, part, binding] {
           return read_stored(session, world, binding, part, buffer);
         }});
  });
}

std::vector<std::byte> bf16_of(std::span<const std::byte> f32) {
  std::vector<std::byte> rounded(f32.size() / 2);
  for (size_t i = 0; i < f32.size() / sizeof(float); ++i) {
    float value = 0;
    std::memcpy(&value, f32.data() + i * sizeof(value), sizeof(value));
    const auto code = uint16_t(abi::bf16_from_f32(value));
    std::memcpy(rounded.data() + i * sizeof(code), &code, sizeof(code));
  }
  return rounded;
}

// A part of a parameter as a checkpoint has it; where that is its master, the parameter itself too, which is its master
// rounded to nearest.
void write_part(Session& session, const std::string& binding, const StoredTensor& part, std::string_view suffix,
                std::span<const std::byte> bytes, std::vector<std::byte>& buffer) {
  write_stored(session, binding, part, bytes, buffer);
  if (!suffix.empty() || !binding.ends_with(kMaster)) return;
  const std::string parameter = binding.substr(0, binding.size() - kMaster.size());
  write_stored(session, parameter, part, bf16_of(bytes), buffer);
}

}  // namespace

void save_state(const Session& session, World* world, const Optimizer& optimizer, std::span<const ParameterSpec> specs,
                const std::string& directory, Manifest manifest) {
  session.read("updates", std::as_writable_bytes(std::span(&manifest.t, 1)));
  if (session.has(kLastNorm))
    session.read(kLastNorm, std::as_writable_bytes(std::span(&manifest.last_norm.emplace(), 1)));
  std::vector<std::byte> buffer;
  std::vector<OutputTensor> model, states;
  const Kept kept{session, optimizer, specs};
  append_tensors(kept, world, "", buffer, model);
  for (const std::string& suffix : suffixes_of(optimizer, specs)) append_tensors(kept, world, suffix, buffer, states);
  if (session.program().rank > 0) {
    for (const auto* tensors : {&model, &states})
      for (const OutputTensor& tensor : *tensors) tensor.bytes();
    return;
  }
  write_checkpoint(directory, std::move(manifest), model, states);
}

void restore_state(Session& session, const Optimizer& optimizer, std::span<const ParameterSpec> specs,
                   const Checkpoint& checkpoint) {
  std::vector<std::string> suffixes = suffixes_of(optimizer, specs);
  suffixes.insert(suffixes.begin(), "");
  const Kept kept{session, optimizer, specs};
  const auto each = [&](const auto& use) {
    size_t count = 0;
    for (const std::string& suffix : suffixes)
      each_tensor(kept, suffix, [&](const std::string& binding, const StoredTensor& part, std::string name) {
        use(binding, part, suffix, checkpoint.bytes(name, {session.desc(binding).dtype, part.shape}));
        ++count;
      });
    return count;
  };
  const size_t expected = each([](const auto&...) {});
  if (expected != checkpoint.tensors())
    fail(Exit::input, checkpoint.path(), "has {} tensors, {} were expected: it is another model's",
         checkpoint.tensors(), expected);
  std::vector<std::byte> buffer;
  each([&](const std::string& binding, const StoredTensor& part, std::string_view suffix,
           std::span<const std::byte> bytes) { write_part(session, binding, part, suffix, bytes, buffer); });
  session.write("updates", std::as_bytes(std::span(&checkpoint.manifest().t, 1)));
  if (!session.has(kLastNorm)) return;
  const std::optional<uint32_t>& last_norm = checkpoint.manifest().last_norm;
  if (!last_norm)
    fail(Exit::input, checkpoint.path(), "has no last_norm, by which optimizer.clip_by = \"previous\" clips");
  session.write(kLastNorm, std::as_bytes(std::span(&*last_norm, 1)));
}

void save_adapter(const Session& session, World* world, std::span<const ParameterSpec> specs,
                  const std::string& config_text, const std::string& out) {
  std::vector<std::byte> data;
  const auto read = [&](const ParameterSpec& spec, const StoredTensor& part) {
    return read_stored(session, world, binding_of(session, spec), part, data);
  };
  if (session.program().rank > 0) {
    for (const ParameterSpec& spec : specs)
      for (const StoredTensor& part : spec.parts) read(spec, part);
    return;
  }
  save_adapter(out, config_text, session.desc(binding_of(session, specs.front())).dtype, specs, read, true);
}

void save_model(const Session& session, World* world, const ModelSource& model, const Precision& precision,
                const std::string& out) {
  std::vector<std::byte> data;
  const auto read = [&](const ParameterSpec& spec, const StoredTensor& part) {
    return read_stored(session, world, spec.name, part, data);
  };
  if (session.program().rank > 0) {
    for (const ParameterSpec& spec : parameter_specs(model.config))
      for (const StoredTensor& part : spec.parts) read(spec, part);
    return;
  }
  save_model(read, model, precision, out, true);
}

}  // namespace tandem
