#include "core/run/saved_state.h"

#include <algorithm>
#include <cstring>
#include <new>

#include "core/abi/numeric.h"
#include "core/base/system_memory.h"
#include "core/model/adapter_directory.h"
#include "core/model/model_directory.h"
#include "core/optimizer/update.h"

namespace tandem {
namespace {

bool is_adapter(std::span<const ParameterSpec> specs) {
  return specs.front().kind == ParameterKind::lora_a;
}

// The states' suffixes, in the order of their numbers; an adapter's master is its parameter's file.
std::vector<std::string> suffixes_of(const Optimizer& optimizer, std::span<const ParameterSpec> specs) {
  std::vector<std::string> suffixes;
  for (const ParameterSpec& spec : specs)
    for (const State& state : optimizer.states(spec))
      if (std::ranges::find(suffixes, state.suffix) == suffixes.end()) suffixes.push_back(state.suffix);
  if (is_adapter(specs)) std::erase(suffixes, kMasterSuffix);
  return suffixes;
}

// The binding whose bytes a file holds under the parameter's name.
std::string binding_of(const Program& program, const ParameterSpec& spec) {
  const std::string master = fmt::format("{}{}", spec.name, kMasterSuffix);
  return spec.kind >= ParameterKind::lora_a && program.find(master) ? master : spec.name;
}

// What a file holds of a parameter's stored tensors under a suffix; without one of the parameter itself.
std::vector<StoredTensor> parts_with(const Optimizer& optimizer, const ParameterSpec& spec, std::string_view suffix) {
  for (const State& state : optimizer.states(spec))
    if (state.suffix == suffix) return parts_of(state, spec);
  return spec.parts;
}

// A tensor of a checkpoint, and where a session has it.
struct SavedTensor {
  std::string binding;
  StoredTensor part;
  std::string name;    // in the files
  std::string suffix;  // empty: a parameter's
  TensorDesc desc;
};

// In the order of the files.
std::vector<SavedTensor> saved_tensors(const Program& program, const Optimizer& optimizer,
                                       std::span<const ParameterSpec> specs) {
  std::vector<std::string> suffixes = suffixes_of(optimizer, specs);
  suffixes.insert(suffixes.begin(), "");
  std::vector<SavedTensor> tensors;
  for (const std::string& suffix : suffixes)
    for (const ParameterSpec& spec : specs) {
      const std::string binding = suffix.empty() ? binding_of(program, spec) : spec.name + suffix;
      const Binding* found = program.find(binding);
      if (!found) continue;
      const std::vector<StoredTensor> parts = parts_with(optimizer, spec, suffix);
      for (size_t i = 0; i < parts.size(); ++i)
        tensors.push_back(
            {binding, parts[i], spec.parts[i].name + suffix, suffix, {found->desc.dtype, parts[i].shape}});
    }
  return tensors;
}

// What the manifest has of a session's counters.
void read_counters(const Session& session, Manifest& manifest) {
  session.read("updates", std::as_writable_bytes(std::span(&manifest.t, 1)));
  if (session.has(kLastNorm))
    session.read(kLastNorm, std::as_writable_bytes(std::span(&manifest.last_norm.emplace(), 1)));
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
  if (!suffix.empty() || !binding.ends_with(kMasterSuffix)) return;
  const std::string parameter = binding.substr(0, binding.size() - kMasterSuffix.size());
  write_stored(session, parameter, part, bf16_of(bytes), buffer);
}

}  // namespace

uint64_t state_bytes(const Program& program, const Optimizer& optimizer, std::span<const ParameterSpec> specs) {
  uint64_t total = 0;
  for (const SavedTensor& tensor : saved_tensors(program, optimizer, specs)) total += tensor.desc.bytes();
  return total;
}

void save_state(const Session& session, World* world, const Optimizer& optimizer, std::span<const ParameterSpec> specs,
                const std::string& directory, Manifest manifest) {
  read_counters(session, manifest);
  std::vector<std::byte> buffer;
  std::vector<OutputTensor> model, states;
  for (const SavedTensor& tensor : saved_tensors(session.program(), optimizer, specs))
    (tensor.suffix.empty() ? model : states).push_back({tensor.name, tensor.desc, [&session, world, &buffer, tensor] {
                                                          return read_stored(session, world, tensor.binding,
                                                                             tensor.part, buffer);
                                                        }});
  if (session.program().rank > 0) {
    for (const auto* tensors : {&model, &states})
      for (const OutputTensor& tensor : *tensors) tensor.bytes();
    return;
  }
  write_checkpoint(directory, std::move(manifest), model, states);
}

bool StateCopy::reserve(uint64_t bytes) {
  if (room_.size() == bytes) return true;
  if (available_system_memory() < bytes) return false;
  memory_.reset(new (std::nothrow) std::byte[bytes]);
  if (!memory_) return false;
  room_ = {memory_.get(), bytes};
  return true;
}

void StateCopy::take(const Session& session, World* world, const Optimizer& optimizer,
                     std::span<const ParameterSpec> specs, Manifest manifest) {
  manifest_ = std::move(manifest);
  read_counters(session, manifest_);
  model_.clear();
  states_.clear();
  std::span<std::byte> rest = room_;
  for (const SavedTensor& tensor : saved_tensors(session.program(), optimizer, specs)) {
    const std::span<std::byte> copy = rest.first(tensor.desc.bytes());
    rest = rest.subspan(copy.size());
    copy_stored(session, world, tensor.binding, tensor.part, copy);
    (tensor.suffix.empty() ? model_ : states_).push_back({tensor.name, tensor.desc, [copy] { return copy; }});
  }
}

void StateCopy::write(const std::string& directory) const {
  write_checkpoint(directory, manifest_, model_, states_);
}

void restore_state(Session& session, const Optimizer& optimizer, std::span<const ParameterSpec> specs,
                   const Checkpoint& checkpoint) {
  const std::vector<SavedTensor> tensors = saved_tensors(session.program(), optimizer, specs);
  for (const SavedTensor& tensor : tensors) checkpoint.bytes(tensor.name, tensor.desc);
  if (tensors.size() != checkpoint.tensors())
    fail(Exit::input, checkpoint.path(), "has {} tensors, {} were expected: it is another model's",
         checkpoint.tensors(), tensors.size());
  std::vector<std::byte> buffer;
  for (const SavedTensor& tensor : tensors)
    write_part(session, tensor.binding, tensor.part, tensor.suffix, checkpoint.bytes(tensor.name, tensor.desc), buffer);
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
    return read_stored(session, world, binding_of(session.program(), spec), part, data);
  };
  if (session.program().rank > 0) {
    for (const ParameterSpec& spec : specs)
      for (const StoredTensor& part : spec.parts) read(spec, part);
    return;
  }
  save_adapter(out, config_text, session.desc(binding_of(session.program(), specs.front())).dtype, specs, read, true);
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
