// Bytes that wait on the disk until they are wanted, so that they take no memory.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

namespace tandem {

// A file without a name, in the directory of another: nothing is left of it. Exit::storage.
class SpillFile {
 public:
  explicit SpillFile(const std::string& neighbour);
  ~SpillFile();
  SpillFile(const SpillFile&) = delete;
  SpillFile& operator=(const SpillFile&) = delete;

  void append(std::span<const std::byte> bytes);
  // Calls sink with all bytes in order, in parts.
  void for_each_part(const std::function<void(std::span<const std::byte>)>& sink);
  uint64_t size() const { return size_; }  // bytes

 private:
  void flush();

  std::string directory_;
  int descriptor_ = -1;
  std::vector<std::byte> waiting_;
  uint64_t size_ = 0, written_ = 0;
};

}  // namespace tandem
