#include "core/data/text_reader.h"

#include <algorithm>

#include "core/base/error.h"
#include "core/base/utf8.h"

namespace tandem {
namespace {

constexpr size_t kChunk = 1 << 20;          // bytes; fewer keep threads waiting, more take memory
constexpr size_t kMargin = 1 << 16;         // bytes; more than any token that a cut in front of it could split
constexpr uint64_t kLongestLine = 1 << 30;  // bytes
constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";

// The bytes at the end that may be the first ones of a character.
size_t unfinished(std::string_view text) {
  for (size_t back = 1; back <= std::min<size_t>(3, text.size()); ++back) {
    const char c = text[text.size() - back];
    const auto byte = static_cast<unsigned char>(c);
    if (byte >= 0xc0) return utf8_length(c) > back ? back : 0;
    if (byte < 0x80) return 0;
  }
  return 0;
}

uint64_t count_replacements(std::string_view text) {
  uint64_t count = 0;
  for (size_t at = 0; (at = text.find(kReplacement, at)) != std::string_view::npos; ++at) ++count;
  return count;
}

}  // namespace

TextReader::TextReader(std::vector<std::string> inputs, const Tokenizer& tokenizer)
    : inputs_(std::move(inputs)), tokenizer_(tokenizer) {}

void TextReader::open() {
  const std::string& input = inputs_[current_];
  source_ = open_bytes(input);
  lines_ = !without_compression(input).ends_with(".txt");
  ended_ = begun_ = false;
  pending_.clear();
  tail_.clear();
  searched_ = 0;
  line_ = 1;
  if (!lines_) return;
  read_more();
  if (pending_.starts_with(kByteOrderMark)) pending_.erase(0, kByteOrderMark.size());
}

std::optional<TextChunk> TextReader::next() {
  while (current_ < inputs_.size()) {
    if (source_ == nullptr) open();
    TextChunk chunk = lines_ ? take_lines() : take_part();
    if (lines_ ? ended_ && pending_.empty() : chunk.ends) {
      source_.reset();
      ++current_;
    }
    if (!chunk.text.empty() || chunk.ends) return chunk;
  }
  return {};
}

TextChunk TextReader::take_lines() {
  size_t end = pending_.rfind('\n');
  while (end == std::string::npos && !ended_) {
    const std::string& name = inputs_[current_];
    if (pending_.size() > kLongestLine)
      fail(Exit::input, fmt::format("{}:{}", name, line_), "is longer than {} bytes, expected a document per line",
           kLongestLine);
    const size_t before = pending_.size();
    read_more();
    end = pending_.find('\n', before) == std::string::npos ? std::string::npos : pending_.rfind('\n');
  }
  const size_t size = ended_ && end == std::string::npos ? pending_.size() : end + 1;
  TextChunk chunk{.text = pending_.substr(0, size), .lines = true, .name = inputs_[current_], .first_line = line_};
  pending_.erase(0, size);
  line_ += uint64_t(std::count(chunk.text.begin(), chunk.text.end(), '\n'));
  if (!ended_ && pending_.size() < kChunk) read_more();
  return chunk;
}

TextChunk TextReader::take_part() {
  size_t size = 0;
  while (size == 0) {
    const size_t safe = ended_ ? pending_.size() : pending_.size() - std::min(kMargin, pending_.size());
    const size_t from = std::max(kChunk, searched_);
    if (safe > from) {
      const size_t cut = tokenizer_.cut(pending_, from);
      if (cut <= safe) size = cut;
      else searched_ = safe;
    }
    if (size == 0 && ended_) size = pending_.size();
    if (size == 0 && ended_) break;
    if (size == 0) read_more();
  }
  TextChunk chunk{.text = pending_.substr(0, size),
                  .name = inputs_[current_],
                  .begins = !std::exchange(begun_, true),
                  .ends = ended_ && size == pending_.size()};
  pending_.erase(0, size);
  searched_ = 0;
  return chunk;
}

// Appends to pending what comes next: valid UTF-8 in a .txt, unless the tokenizer takes any bytes.
void TextReader::read_more() {
  std::string bytes = std::move(tail_);
  const size_t held = bytes.size();
  bytes.resize(held + kChunk);
  const size_t got = source_->read(std::span(bytes).subspan(held));
  bytes.resize(held + got);
  ended_ = got < kChunk;
  tail_.clear();
  if (lines_ || tokenizer_.takes_any_bytes()) return void(pending_ += bytes);
  if (!ended_) {
    tail_ = bytes.substr(bytes.size() - unfinished(bytes));
    bytes.resize(bytes.size() - tail_.size());
  }
  if (is_utf8(bytes)) return void(pending_ += bytes);
  const std::string valid = valid_utf8(bytes);
  replaced_ += count_replacements(valid) - count_replacements(bytes);
  pending_ += valid;
}

}  // namespace tandem
