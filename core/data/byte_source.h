// The bytes of an input as a stream: a file, one that is compressed, or standard input.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>

namespace tandem {

class ByteSource {
 public:
  virtual ~ByteSource() = default;
  // Fills `to`; returns fewer bytes at the end alone. Exit::input, naming the file and the byte offset: what is cut or
  // damaged.
  virtual size_t read(std::span<char> to) = 0;
};

// path: a file, of which .gz and .zst are unpacked (several members or frames are one text), or "-" for standard input.
// Exit::configuration: a kind that this build does not unpack. Exit::input: a file that cannot be read.
std::unique_ptr<ByteSource> open_bytes(const std::string& path);

// path without .gz or .zst.
std::string_view without_compression(std::string_view path);

}  // namespace tandem
