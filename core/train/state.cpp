#include "core/train/state.h"

#include <algorithm>

namespace tandem {
namespace {

constexpr std::string_view kStates[] = {".m", ".v", ".master"};

TensorDesc desc_of(const StoredTensor& part, DType dtype) {
  return {dtype, part.shape};
}

uint64_t offset_of(const StoredTensor& part, DType dtype) {
  return part.first_row * (desc_of(part, dtype).bytes() / part.shape[0]);
}

// visit(binding, part, its name in the files) for every stored tensor with the suffix that the session keeps
template <typename Visit>
void each_tensor(const Session& session, std::span<const ParameterSpec> specs, std::string_view suffix,
                 const Visit& visit) {
  for (const ParameterSpec& spec : specs) {
    const std::string binding = fmt::format("{}{}", spec.name, suffix);
    if (!session.has(binding)) continue;
    for (const StoredTensor& part : spec.parts) visit(binding, part, fmt::format("{}{}", part.name, suffix));
  }
}

void append_tensors(const Session& session, std::span<const ParameterSpec> specs, std::string_view suffix,
                    std::vector<std::byte>& buffer, std::vector<OutputTensor>& tensors) {
  each_tensor(session, specs, suffix, [&](const std::string& binding, const StoredTensor& part, std::string name) {
    const DType dtype = session.desc(binding).dtype;
    tensors.push_back({std::move(name), desc_of(part, dtype), [&session, &buffer, &part, binding, dtype] {
                         buffer.resize(desc_of(part, dtype).bytes());
                         session.read(binding, buffer, offset_of(part, dtype));
                         return std::span<const std::byte>(buffer);
                       }});
  });
}

}  // namespace

void save_state(const Session& session, std::span<const ParameterSpec> specs, const std::string& directory,
                Manifest manifest) {
  session.read("t", std::as_writable_bytes(std::span(&manifest.t, 1)));
  std::vector<std::byte> buffer;
  std::vector<OutputTensor> model, optimizer;
  append_tensors(session, specs, "", buffer, model);
  for (const std::string_view suffix : kStates) append_tensors(session, specs, suffix, buffer, optimizer);
  write_checkpoint(directory, std::move(manifest), model, optimizer);
}

void restore_state(Session& session, std::span<const ParameterSpec> specs, const Checkpoint& checkpoint) {
  std::vector<std::string_view> suffixes(std::begin(kStates), std::end(kStates));
  suffixes.insert(suffixes.begin(), "");
  const auto each = [&](const auto& use) {
    size_t count = 0;
    for (const std::string_view suffix : suffixes)
      each_tensor(session, specs, suffix, [&](const std::string& binding, const StoredTensor& part, std::string name) {
        const DType dtype = session.desc(binding).dtype;
        use(binding, offset_of(part, dtype), checkpoint.bytes(name, desc_of(part, dtype)));
        ++count;
      });
    return count;
  };
  const size_t expected = each([](const auto&, uint64_t, auto) {});
  if (expected != checkpoint.tensors())
    fail(Exit::input, checkpoint.path(), "has {} tensors, {} were expected: it is another model's",
         checkpoint.tensors(), expected);
  each([&](const std::string& binding, uint64_t offset, std::span<const std::byte> bytes) {
    session.write(binding, bytes, offset);
  });
  session.write("t", std::as_bytes(std::span(&checkpoint.manifest().t, 1)));
}

}  // namespace tandem
