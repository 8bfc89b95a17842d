// LLMQ version 2 files with document starts, written as a stream: memory does not grow with the file.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "core/base/file.h"
#include "core/base/spill_file.h"

namespace tandem {

// Written beside path, until finish and then publish put it in place; nothing is left of one that is not.
// Exit::storage; Exit::input above 2^31-1 tokens, which the header cannot count.
class TokenWriter {
 public:
  TokenWriter(const std::string& path, uint32_t vocabulary_size);
  ~TokenWriter();
  TokenWriter(const TokenWriter&) = delete;
  TokenWriter& operator=(const TokenWriter&) = delete;

  // The next token appended is a document's first.
  void begin_document();
  // targets: whether these tokens count as targets.
  void append(std::span<const int32_t> tokens, bool targets = true);
  // The file gets a mask, even if all tokens count. Without a call it has one if some do not.
  void want_mask() { mask_.wanted = true; }
  // Completes the file, synced.
  void finish();
  // Renames it to its name.
  void publish();

  const std::string& path() const { return path_; }
  uint64_t size() const { return size_; }            // tokens
  uint64_t documents() const { return documents_; }  // those that hold tokens
  uint64_t targets() const { return targets_; }      // those that have an input

 private:
  // A bit a token: whether it counts as a target.
  struct Mask {
    std::unique_ptr<SpillFile> bytes;  // open until finish
    uint8_t last = 0;                  // the byte that is not whole yet
    bool wanted = false;               // the file gets it
  };
  void set_bits(uint64_t count, bool value);
  void flush();
  void write_header();

  std::string path_;
  std::unique_ptr<OutputFile> file_;
  Mask mask_;
  std::unique_ptr<SpillFile> starts_;  // open until finish
  std::vector<int32_t> waiting_;       // tokens not written yet
  uint32_t vocabulary_size_;
  bool at_start_ = true;
  uint64_t size_ = 0, documents_ = 0, targets_ = 0;
};

}  // namespace tandem
