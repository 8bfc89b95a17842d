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
  const std::string& name = inputs_[current_];
  in_ = {.source = open_bytes(name), .lines = !without_compression(name).ends_with(".txt")};
  if (!in_.lines) return;
  read_more();
  if (in_.pending.starts_with(kByteOrderMark)) in_.pending.erase(0, kByteOrderMark.size());
}

std::optional<TextChunk> TextReader::next() {
  while (current_ < inputs_.size()) {
    if (in_.source == nullptr) open();
    TextChunk chunk = in_.lines ? take_lines() : take_part();
    if (in_.lines ? in_.ended && in_.pending.empty() : chunk.ends) {
      in_.source.reset();
      ++current_;
    }
    if (!chunk.text.empty() || chunk.ends) return chunk;
  }
  return {};
}

TextChunk TextReader::take_lines() {
  size_t end = in_.pending.rfind('\n');
  while (end == std::string::npos && !in_.ended) {
    const std::string& name = inputs_[current_];
    if (in_.pending.size() > kLongestLine)
      fail(Exit::input, fmt::format("{}:{}", name, in_.line), "is longer than {} bytes, expected a document per line",
           kLongestLine);
    const size_t before = in_.pending.size();
    read_more();
    end = in_.pending.find('\n', before) == std::string::npos ? std::string::npos : in_.pending.rfind('\n');
  }
  const size_t size = in_.ended && end == std::string::npos ? in_.pending.size() : end + 1;
  TextChunk chunk{
      .text = in_.pending.substr(0, size), .lines = true, .name = inputs_[current_], .first_line = in_.line};
  in_.pending.erase(0, size);
  in_.line += uint64_t(std::count(chunk.text.begin(), chunk.text.end(), '\n'));
  if (!in_.ended && in_.pending.size() < kChunk) read_more();
  return chunk;
}

TextChunk TextReader::take_part() {
  size_t size = 0;
  while (size == 0) {
    const size_t safe = in_.ended ? in_.pending.size() : in_.pending.size() - std::min(kMargin, in_.pending.size());
    const size_t from = std::max(kChunk, in_.searched);
    if (safe > from) {
      const size_t cut = tokenizer_.cut(in_.pending, from);
      if (cut <= safe) size = cut;
      else in_.searched = safe;
    }
    if (size == 0 && in_.ended) size = in_.pending.size();
    if (size == 0 && in_.ended) break;
    if (size == 0) read_more();
  }
  TextChunk chunk{.text = in_.pending.substr(0, size),
                  .name = inputs_[current_],
                  .begins = !std::exchange(in_.begun, true),
                  .ends = in_.ended && size == in_.pending.size()};
  in_.pending.erase(0, size);
  in_.searched = 0;
  return chunk;
}

// Appends to pending what comes next: valid UTF-8 in a .txt, unless the tokenizer takes any bytes.
void TextReader::read_more() {
  std::string bytes = std::move(in_.tail);
  const size_t held = bytes.size();
  bytes.resize(held + kChunk);
  const size_t got = in_.source->read(std::span(bytes).subspan(held));
  bytes.resize(held + got);
  in_.ended = got < kChunk;
  in_.tail.clear();
  if (in_.lines || tokenizer_.takes_any_bytes()) return void(in_.pending += bytes);
  if (!in_.ended) {
    in_.tail = bytes.substr(bytes.size() - unfinished(bytes));
    bytes.resize(bytes.size() - in_.tail.size());
  }
  if (is_utf8(bytes)) return void(in_.pending += bytes);
  const std::string valid = valid_utf8(bytes);
  replaced_ += count_replacements(valid) - count_replacements(bytes);
  in_.pending += valid;
}

}  // namespace tandem
