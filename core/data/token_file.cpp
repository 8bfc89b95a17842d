#include "core/data/token_file.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <limits>

#include "core/base/error.h"

namespace tandem {
namespace {

static_assert(std::endian::native == std::endian::little, "token files are mapped as they are");

constexpr char kLlmqMagic[8] = {'B', 'I', 'N', '.', 'T', 'O', 'K', '\n'};
constexpr uint32_t kLlmcMagic = 20240520;
constexpr uint64_t kMostTokens = std::numeric_limits<int32_t>::max();

}  // namespace

TokenFile::TokenFile(const std::string& path) : file_(path) {
  read_header();
  scan();
}

void TokenFile::read_header() {
  const auto wrong = [&](uint64_t word, std::string_view what, std::string_view expected) {
    fail(Exit::input, path(), "offset {}: {} is {}, expected {}", 4 * word, what, int32_t(header(word)), expected);
  };
  if (file_.bytes().size() < kTokenFileHeader)
    fail(Exit::input, path(), "offset {}: ends inside the header of {} bytes; is it a token file?",
         file_.bytes().size(), kTokenFileHeader);
  uint64_t count_word = 2;
  if (std::memcmp(file_.bytes().data(), kLlmqMagic, sizeof kLlmqMagic) == 0) {
    if (header(2) != 1 && header(2) != 2) wrong(2, "the version", "1 or 2");
    if (header(3) != 4) wrong(3, "the size of a token in bytes", "4");
    format_ = header(2) == 1 ? Format::llmq_v1 : Format::llmq_v2;
    count_word = 4;
  } else if (header(0) == kLlmcMagic) {
    if (header(1) != 1) wrong(1, "the version", "1 (16-bit tokens)");
    format_ = Format::llm_c;
  } else {
    fail(Exit::input, path(), "offset 0: unknown magic, expected an LLMQ (BIN.TOK) or llm.c (20240520) token file");
  }
  if (int32_t(header(count_word)) < 0) wrong(count_word, "the token count", "0 or more");
  size_ = header(count_word);
  if (format_ == Format::llmq_v2 && header(6) > 1) wrong(6, "the mask flag", "0 or 1");
  if (format_ == Format::llmq_v2) vocabulary_size_ = std::max(0, int32_t(header(5)));
  check_size(format_ == Format::llmq_v2 && header(6) == 1);
}

void TokenFile::check_size(bool masked) {
  const uint64_t tokens_end = offset_of(size_), end = tokens_end + (masked ? (size_ + 7) / 8 : 0);
  const uint64_t bytes = file_.bytes().size();
  if (bytes < end)
    fail(Exit::input, path(), "offset {}: truncated; the header's {} tokens{} want {} bytes", bytes, size_,
         masked ? " and their mask" : "", end);
  if (bytes > end)
    fail(Exit::input, path(), "offset {}: {} more bytes than the header's {} tokens{} want", end, bytes - end, size_,
         masked ? " and their mask" : "");
  if (masked) mask_ = file_.bytes().subspan(tokens_end);
}

// One pass over the file: finds the largest token, and a negative one.
void TokenFile::scan() {
  int32_t least = 0;
  for (uint64_t i = 0; i < size_; ++i) {
    least = std::min(least, token(i));
    largest_ = std::max(largest_, token(i));
  }
  if (least >= 0) return;
  for (uint64_t i = 0; i < size_; ++i)
    if (token(i) < 0)
      fail(Exit::input, path(), "offset {}: token {} is {}, expected 0 or more", offset_of(i), i, token(i));
}

std::string_view TokenFile::format() const {
  switch (format_) {
    case Format::llmq_v1:
      return "llmq-v1";
    case Format::llmq_v2:
      return "llmq-v2";
    case Format::llm_c:
      return "llm.c";
  }
  return "?";
}

uint64_t TokenFile::targets() const {
  if (size_ == 0) return 0;
  if (mask_.empty()) return size_ - 1;
  uint64_t count = 0;
  for (uint64_t i = 1; i < size_; ++i) count += valid_target(i);
  return count;
}

void TokenFile::check_vocabulary(uint64_t vocabulary) const {
  if (largest_ < 0 || uint64_t(largest_) < vocabulary) return;
  uint64_t i = 0;
  while (uint64_t(token(i)) < vocabulary) ++i;
  fail(Exit::input, path(),
       "offset {}: token {} is {}, outside the model's vocabulary of {}; tokenize with the model's own tokenizer",
       offset_of(i), i, token(i), vocabulary);
}

TokenFiles open_token_files(const std::vector<std::string>& paths, uint64_t vocabulary) {
  TokenFiles files;
  for (const std::string& path : paths) {
    const auto file = std::make_shared<TokenFile>(path);
    file->check_vocabulary(vocabulary);
    files.push_back(file);
  }
  return files;
}

TokenWriter::TokenWriter(const std::string& path, uint32_t vocabulary_size, bool masked)
    : path_(path),
      file_(std::make_unique<OutputFile>(beside(path))),
      vocabulary_size_(vocabulary_size),
      masked_(masked) {
  file_->write(std::vector<std::byte>(kTokenFileHeader));  // finish fills it in, once the count is known
}

TokenWriter::~TokenWriter() {
  if (file_ != nullptr) std::remove(beside(path_).c_str());
}

void TokenWriter::append(std::span<const int32_t> tokens, bool valid) {
  if (tokens.size() > kMostTokens - size_)
    fail(Exit::input, path_, "more than {} tokens, which the format cannot count; split the input", kMostTokens);
  file_->write(std::as_bytes(tokens));
  if (masked_) {
    mask_.resize((size_ + tokens.size() + 7) / 8);
    for (uint64_t i = size_; valid && i < size_ + tokens.size(); ++i) mask_[i / 8] |= std::byte(1u << (i % 8));
  }
  size_ += tokens.size();
}

void TokenWriter::write_header() {
  int32_t header[7] = {};
  std::memcpy(header, kLlmqMagic, sizeof kLlmqMagic);
  header[2] = 2;
  header[3] = 4;
  header[4] = int32_t(size_);
  header[5] = int32_t(vocabulary_size_);
  header[6] = masked_;
  file_->write_at(0, std::as_bytes(std::span(header)));
}

void TokenWriter::finish() {
  file_->write(mask_);
  write_header();
  file_->finish();
  rename_synced(beside(path_), path_);
  file_.reset();
}

}  // namespace tandem
