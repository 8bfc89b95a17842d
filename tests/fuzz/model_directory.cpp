// libFuzzer: any bytes as a model's model.safetensors.index.json, beside one shard, and as its generation_config.json
// are read or refused with an Error.
#include <stdlib.h>

#include <filesystem>

#include "core/model/config.h"
#include "core/model/safetensors_writer.h"
#include "core/model/weights.h"
#include "tests/fuzz/memory_file.h"

namespace {

namespace fs = std::filesystem;

// a directory with the shard a.safetensors, in which w is 4 floats
class Directory {
 public:
  Directory() {
    std::string name = (fs::temp_directory_path() / "tandem-fuzz-XXXXXX").string();
    TANDEM_CHECK(::mkdtemp(name.data()) != nullptr, "no directory like {}", name);
    path_ = name;
    static const float values[4] = {};
    const tandem::OutputTensor w{"w", {tandem::DType::f32, {4}}, [] { return std::as_bytes(std::span(values)); }};
    tandem::write_safetensors(path_ + "/a.safetensors", std::span(&w, 1));
  }
  ~Directory() { fs::remove_all(path_); }

  const std::string& path() const { return path_; }
  void link(const tandem::MemoryFile& file, const char* name) const {
    fs::remove(fs::path(path_) / name);
    fs::create_symlink(file.path(), fs::path(path_) / name);
  }

 private:
  std::string path_;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const Directory directory;
  const tandem::MemoryFile memory(data, size);
  directory.link(memory, "model.safetensors.index.json");
  directory.link(memory, "generation_config.json");
  try {
    if (tandem::ModelFiles(directory.path()).info("w").shape.count() != 4) __builtin_trap();
  } catch (const tandem::Error& e) {
    if (e.exit() != tandem::Exit::input) __builtin_trap();
  }
  try {
    tandem::generation_eos_ids(directory.path(), {});
  } catch (const tandem::Error&) {
  }
  return 0;
}
