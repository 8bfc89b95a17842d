// Any bytes as a safetensors file: it is read, or refused with an Error.
#include "core/model/safetensors.h"

#include "tests/fuzz/memory_file.h"

namespace {

void read_all(const tandem::TensorFile& file) {
  for (const auto& [name, info] : file.tensors())
    for (const tandem::DType to : {tandem::DType::f32, tandem::DType::bf16}) try {
        std::vector<std::byte> out(info.shape.count() * size_of(to));
        file.read(name, to, out);
      } catch (const tandem::Error& e) {
        if (e.exit() != tandem::Exit::input) throw;  // a type that is not read
      }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const tandem::MemoryFile memory(data, size);
  try {
    read_all(tandem::TensorFile(memory.path()));
  } catch (const tandem::Error& e) {
    if (e.exit() != tandem::Exit::input) throw;
  }
  return 0;
}
