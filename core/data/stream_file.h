// The residual streams of a token file's windows, stored to be replayed: header, codes of all windows, scales of all
// windows (docs/formats.md). A file is whole or not there.
#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "core/base/file.h"
#include "core/base/spill_file.h"

namespace tandem {

// What a file holds, and what that was made of.
struct StreamHeader {
  uint32_t hidden = 0;           // elements of a stream per token
  uint32_t layer = 0;            // the one that the stream enters
  uint32_t sequence_length = 0;  // T
  uint64_t windows = 0;
  uint64_t tokens = 0;      // XXH3 of the windows' inputs and positions
  uint64_t base = 0;        // XXH3 of what the layers below are made of
  std::string recipe = {};  // fp32 | bf16 | fp8

  uint64_t code_bytes() const;   // a window's
  uint64_t scale_bytes() const;  // a window's
  uint64_t file_bytes() const;
};

// A file that is read through a memory map.
class StreamFile {
 public:
  // Exit::input, naming what differs: a file that holds anything but what is wanted.
  StreamFile(std::string path, const StreamHeader& wanted);

  const StreamHeader& header() const { return header_; }
  std::span<const std::byte> codes(uint64_t window) const;   // (T, hidden) e4m3
  std::span<const std::byte> scales(uint64_t window) const;  // (T, blocks) u8

 private:
  MappedFile file_;
  StreamHeader header_;
};

// Writes a file's windows in order, under another name until finish(). Exit::storage.
class StreamWriter {
 public:
  StreamWriter(std::string path, const StreamHeader& header);
  ~StreamWriter();  // Nothing is left of what was not finished.
  StreamWriter(const StreamWriter&) = delete;
  StreamWriter& operator=(const StreamWriter&) = delete;

  void append(std::span<const std::byte> codes, std::span<const std::byte> scales);
  void finish();

 private:
  std::string path_;
  StreamHeader header_;
  bool finished_ = false;
  SpillFile scales_;  // before the file: where it cannot be made, no file is left
  OutputFile file_;
};

}  // namespace tandem
