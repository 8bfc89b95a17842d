// Token files: LLMQ .bin, versions 1 and 2, and llm.c .bin, read through a memory map; LLMQ version 2 written as a
// stream. Layout (little endian): LLMQ: int32[256] header "BIN.TOK\n", version, 4 bytes a token, count, and in version
// 2 vocabulary size and mask flag; then int32 tokens; then, if flagged, a bit mask, lowest bit first. llm.c: int32[256]
// header 20240520, version 1, count; then uint16 tokens.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/file.h"

namespace tandem {

constexpr uint64_t kTokenFileHeader = 1024;  // bytes

class TokenFile {
 public:
  // Maps the file and scans it once. Exit::input, naming file and byte offset: wrong magic, version or bytes per token;
  // a truncated file, or one longer than its count says; a negative token.
  explicit TokenFile(const std::string& path);

  const std::string& path() const { return file_.path(); }
  std::string_view format() const;  // "llmq-v1", "llmq-v2", "llm.c"
  uint64_t size() const { return size_; }
  int32_t vocabulary_size() const { return vocabulary_size_; }  // what the header says; 0: nothing
  bool has_mask() const { return !mask_.empty(); }

  // token i < size()
  int32_t token(uint64_t i) const {
    return format_ == Format::llm_c ? int32_t(value_at<uint16_t>(i)) : value_at<int32_t>(i);
  }
  // whether token i counts as a target, that is for the input at i - 1
  bool valid_target(uint64_t i) const {
    return mask_.empty() || ((std::to_integer<uint8_t>(mask_[i / 8]) >> (i % 8)) & 1);
  }
  // valid targets that have an input, so among tokens 1 .. size() - 1
  uint64_t targets() const;

  // Exit::input naming the first token that is vocabulary or more, and its byte offset.
  void check_vocabulary(uint64_t vocabulary) const;

 private:
  enum class Format : uint8_t { llmq_v1, llmq_v2, llm_c };

  template <typename T>
  T value_at(uint64_t i) const {
    return reinterpret_cast<const T*>(file_.bytes().data() + kTokenFileHeader)[i];
  }
  uint32_t header(uint64_t word) const { return reinterpret_cast<const uint32_t*>(file_.bytes().data())[word]; }
  uint64_t token_bytes() const { return format_ == Format::llm_c ? 2 : 4; }
  uint64_t offset_of(uint64_t i) const { return kTokenFileHeader + i * token_bytes(); }
  void read_header();
  void check_size(bool masked);
  void scan();

  MappedFile file_;
  Format format_ = Format::llmq_v2;
  uint64_t size_ = 0;
  int32_t vocabulary_size_ = 0;
  int32_t largest_ = -1;  // token
  std::span<const std::byte> mask_;
};

using TokenFiles = std::vector<std::shared_ptr<const TokenFile>>;

// Opens the files and checks their tokens against the model's vocabulary. Exit::input.
TokenFiles open_token_files(const std::vector<std::string>& paths, uint64_t vocabulary);

// Writes an LLMQ version 2 file piece by piece, beside path; finish puts it in place. Exit::storage; Exit::input above
// 2^31-1 tokens, which the header cannot count.
class TokenWriter {
 public:
  TokenWriter(const std::string& path, uint32_t vocabulary_size, bool masked = false);
  ~TokenWriter();
  TokenWriter(const TokenWriter&) = delete;
  TokenWriter& operator=(const TokenWriter&) = delete;

  // valid: whether these tokens count as targets; all do in a file without a mask
  void append(std::span<const int32_t> tokens, bool valid = true);
  void finish();
  uint64_t size() const { return size_; }

 private:
  void write_header();

  std::string path_;
  std::unique_ptr<OutputFile> file_;
  uint32_t vocabulary_size_;
  bool masked_;
  uint64_t size_ = 0;
  std::vector<std::byte> mask_;
};

}  // namespace tandem
