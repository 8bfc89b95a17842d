#include "core/data/token_file.h"

#include <algorithm>
#include <bit>
#include <cstring>

#include "core/base/error.h"

namespace tandem {

std::vector<std::string> parts_of(const std::string& path, RawFormat raw) {
  if (raw == RawFormat::none && is_megatron_index(MappedFile(path))) return {path, megatron_tokens(path)};
  return {path};
}

TokenFile::TokenFile(const std::string& path, RawFormat raw) : file_(path) {
  if (raw == RawFormat::none && is_megatron_index(file_)) {
    const MappedFile index = std::exchange(file_, MappedFile(megatron_tokens(path)));
    layout_ = read_megatron(index, file_);
  } else {
    layout_ = read_layout(file_, raw);
  }
  if (layout_.token_bytes == 2) scan<uint16_t>();
  else scan<uint32_t>();
}

// One pass over the tokens, for the largest.
template <typename T>
void TokenFile::scan() {
  const std::span tokens(values<T>(), size());
  if (tokens.empty()) return;
  constexpr uint32_t kMost = 0x7fffffff;
  const uint32_t largest = *std::max_element(tokens.begin(), tokens.end());
  if (largest <= kMost) return void(largest_ = int32_t(largest));
  const auto i = uint64_t(std::find_if(tokens.begin(), tokens.end(), [](T t) { return t > kMost; }) - tokens.begin());
  const bool is_signed = format() != TokenFormat::u32 && format() != TokenFormat::llm_c_u32;
  fail(Exit::input, path(), "offset {}: token {} is {}, expected 0 to {}", offset_of(i), i,
       is_signed ? int64_t(int32_t(tokens[i])) : int64_t(tokens[i]), kMost);
}

uint64_t TokenFile::valid_targets(uint64_t first, uint64_t last) const {
  if (!has_mask()) return last - first;
  uint64_t count = 0;
  for (; first < last && first % 64 != 0; ++first) count += valid_target(first);
  for (; first + 64 <= last; first += 64) {
    uint64_t bits = 0;
    std::memcpy(&bits, &layout_.mask[first / 8], sizeof bits);
    count += uint64_t(std::popcount(bits));
  }
  for (; first < last; ++first) count += valid_target(first);
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

TokenFiles open_token_files(const std::vector<std::string>& paths, uint64_t vocabulary, RawFormat raw) {
  TokenFiles files;
  for (const std::string& path : paths) {
    const auto file = std::make_shared<TokenFile>(path, raw);
    file->check_vocabulary(vocabulary);
    files.push_back(file);
  }
  return files;
}

}  // namespace tandem
