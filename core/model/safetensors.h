// Reading safetensors: 8 bytes of header length, a JSON header, tensor bytes. Files are checked whole when opened:
// header within the file and 100 MB, offsets contiguous from 0 to the end, sizes as shapes say. Errors: Exit::input,
// naming file and tensor.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "core/base/file.h"
#include "core/base/shape.h"

namespace tandem {

// The format's element types. Those that models are read from are f16, bf16 and f32; the rest is only measured.
enum class StoredType : uint8_t {
  f16,
  bf16,
  f32,
  f64,
  f8_e4m3,
  f8_e5m2,
  i8,
  i16,
  i32,
  i64,
  u8,
  u16,
  u32,
  u64,
  boolean
};
uint64_t size_of(StoredType type);
std::string_view name_of(StoredType type);  // "BF16"
// as which tensors of the dtype are written: f32, bf16, e4m3, u8, and e5m3, which the format lacks, as U8
StoredType stored_type(DType dtype);

struct StoredInfo {
  StoredType type;
  Shape shape;
  uint64_t begin = 0, end = 0;  // bytes, from the start of the file
};

// One file.
class TensorFile {
 public:
  explicit TensorFile(const std::string& path, Exit missing = Exit::input);  // missing: that it cannot be opened

  const std::string& path() const { return file_.path(); }
  const std::map<std::string, StoredInfo>& tensors() const { return tensors_; }  // in bytewise order of names
  bool contains(const std::string& name) const { return tensors_.count(name) != 0; }
  const StoredInfo& info(const std::string& name) const;
  std::span<const std::byte> bytes(const std::string& name) const;
  std::span<const std::byte> bytes() const { return file_.bytes(); }  // the whole file's

  // Elements [first, first + out.size() / size_of(to)) as f32 or bf16, rounded to nearest even.
  void read(const std::string& name, DType to, std::span<std::byte> out, uint64_t first = 0) const;

 private:
  MappedFile file_;
  std::map<std::string, StoredInfo> tensors_;
};

// The tensors of a model directory: model.safetensors, or else the shards of model.safetensors.index.json.
class ModelFiles {
 public:
  explicit ModelFiles(const std::string& directory);

  std::vector<std::string> names() const;  // in bytewise order
  bool contains(const std::string& name) const { return file_of_.count(name) != 0; }
  const StoredInfo& info(const std::string& name) const { return file(name).info(name); }
  const TensorFile& file(const std::string& name) const;
  void read(const std::string& name, DType to, std::span<std::byte> out, uint64_t first = 0) const {
    file(name).read(name, to, out, first);
  }
  const std::string& directory() const { return directory_; }

 private:
  void open_shards(const std::string& index);

  std::string directory_;
  std::vector<TensorFile> files_;
  std::map<std::string, size_t> file_of_;  // index into files_
};

}  // namespace tandem
