// Any bytes as a safetensors file: it is read, or refused with an Error.
#include "core/model/safetensors.h"

#include <sys/mman.h>
#include <unistd.h>

#include <cstdlib>

namespace {

// a file in memory, which has a path as long as it is open
int memory_file() {
  const int descriptor = ::memfd_create("fuzz.safetensors", MFD_CLOEXEC);
  if (descriptor < 0) std::abort();
  return descriptor;
}

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
  static const int descriptor = memory_file();
  static const std::string path = fmt::format("/proc/self/fd/{}", descriptor);
  if (::ftruncate(descriptor, 0) != 0 || ::pwrite(descriptor, data, size, 0) != ssize_t(size)) std::abort();
  try {
    read_all(tandem::TensorFile(path));
  } catch (const tandem::Error& e) {
    if (e.exit() != tandem::Exit::input) throw;
  }
  return 0;
}
