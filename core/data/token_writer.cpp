#include "core/data/token_writer.h"

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <limits>

#include "core/base/error.h"
#include "core/data/token_layout.h"

namespace tandem {
namespace {

constexpr uint64_t kMostTokens = std::numeric_limits<int32_t>::max();
constexpr size_t kWaiting = 1 << 18;  // tokens; fewer take more calls

template <typename T>
std::span<const std::byte> bytes_of_one(const T& value) {
  return std::as_bytes(std::span(&value, 1));
}

}  // namespace

TokenWriter::TokenWriter(const std::string& path, uint32_t vocabulary_size)
    : path_(path),
      file_(std::make_unique<OutputFile>(beside(path))),
      mask_{.bytes = std::make_unique<SpillFile>(path)},
      starts_(std::make_unique<SpillFile>(path)),
      vocabulary_size_(vocabulary_size) {
  file_->write(std::vector<std::byte>(kTokenFileHeader));  // finish fills it in, once the counts are known
}

TokenWriter::~TokenWriter() {
  if (file_ != nullptr) std::remove(beside(path_).c_str());
}

void TokenWriter::begin_document() {
  at_start_ = true;
}

void TokenWriter::append(std::span<const int32_t> tokens, bool targets) {
  if (tokens.empty()) return;
  if (tokens.size() > kMostTokens - size_)
    fail(Exit::input, path_,
         "more than {} tokens, which the format cannot count; write several files with --shard-tokens", kMostTokens);
  if (std::exchange(at_start_, false)) {
    starts_->append(bytes_of_one(uint32_t(size_)));
    ++documents_;
  }
  set_bits(tokens.size(), targets);
  if (targets) targets_ += tokens.size() - (size_ == 0 ? 1 : 0);
  else mask_.wanted = true;
  size_ += tokens.size();
  waiting_.insert(waiting_.end(), tokens.begin(), tokens.end());
  if (waiting_.size() >= kWaiting) flush();
}

void TokenWriter::set_bits(uint64_t count, bool value) {
  for (uint64_t i = size_; i < size_ + count; ++i) {
    mask_.last = uint8_t(mask_.last | (value ? 1u << (i % 8) : 0u));
    if (i % 8 == 7) mask_.bytes->append(bytes_of_one(std::exchange(mask_.last, uint8_t(0))));
  }
}

void TokenWriter::flush() {
  file_->write(std::as_bytes(std::span(waiting_)));
  waiting_.clear();
}

void TokenWriter::write_header() {
  int32_t header[11] = {};
  std::memcpy(&header[0], kLlmqMagic.data(), kLlmqMagic.size());
  header[2] = 2;
  header[3] = 4;
  header[4] = int32_t(size_);
  header[5] = int32_t(vocabulary_size_);
  header[6] = mask_.wanted;
  std::memcpy(&header[8], kDocumentsMagic.data(), kDocumentsMagic.size());
  header[10] = int32_t(documents_);
  file_->write_at(0, std::as_bytes(std::span(header)));
}

void TokenWriter::finish() {
  TANDEM_CHECK(size_ > 0, "a token file of no tokens");
  flush();
  const auto write = [&](std::span<const std::byte> part) { file_->write(part); };
  if (mask_.wanted) {
    if (size_ % 8 != 0) mask_.bytes->append(bytes_of_one(mask_.last));
    mask_.bytes->for_each_part(write);
    file_->write(std::vector<std::byte>((4 - mask_.bytes->size() % 4) % 4));
  }
  starts_->append(bytes_of_one(uint32_t(size_)));
  starts_->for_each_part(write);
  write_header();
  file_->finish();
  mask_.bytes.reset();
  starts_.reset();
}

void TokenWriter::publish() {
  rename_synced(beside(path_), path_);
  file_.reset();
}

}  // namespace tandem
