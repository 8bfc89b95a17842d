#include "core/data/bytes_tokenizer.h"

#include <algorithm>
#include <array>

namespace tandem {
namespace {

constexpr std::string_view kReplacement = "\xEF\xBF\xBD";  // U+FFFD
constexpr std::string_view kEndText = "<|end|>";

// Byte-level BPE writes a byte as a printable character: itself where it is one in Latin-1, else the next from U+0100.
std::array<std::string, 256> byte_characters() {
  std::array<std::string, 256> characters;
  uint32_t next = 0x100;
  for (uint32_t b = 0; b < 256; ++b) {
    const bool printable = (b >= 0x21 && b <= 0x7e) || (b >= 0xa1 && b != 0xad);
    const uint32_t code = printable ? b : next++;
    if (code < 0x80) characters[b] = char(code);
    else characters[b] = {char(0xc0 | (code >> 6)), char(0x80 | (code & 0x3f))};
  }
  return characters;
}

Json byte_level() {
  return {{"type", "ByteLevel"}, {"add_prefix_space", false}, {"trim_offsets", false}, {"use_regex", false}};
}

// The bytes of the longest start of text that a well-formed character could have, and whether it is whole.
struct Part {
  size_t length;
  bool whole;
};

Part first_part(std::string_view text) {
  const auto byte = [&](size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned lead = byte(0);
  if (lead < 0x80) return {1, true};
  if (lead < 0xc2 || lead > 0xf4) return {1, false};
  const size_t length = lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
  // the second byte's range keeps out overlong forms, surrogates and what lies above U+10FFFF
  unsigned least = lead == 0xe0 ? 0xa0 : lead == 0xf0 ? 0x90 : 0x80;
  unsigned most = lead == 0xed ? 0x9f : lead == 0xf4 ? 0x8f : 0xbf;
  for (size_t i = 1; i < length; ++i) {
    if (i == text.size() || byte(i) < least || byte(i) > most) return {i, false};
    least = 0x80;
    most = 0xbf;
  }
  return {length, true};
}

}  // namespace

std::string valid_utf8(std::string_view text) {
  std::string out;
  while (!text.empty()) {
    const Part part = first_part(text);
    out += part.whole ? text.substr(0, part.length) : kReplacement;
    text.remove_prefix(part.length);
  }
  return out;
}

void BytesTokenizer::encode(std::string_view text, const Sink& sink) const {
  std::array<int32_t, 16384> piece;
  while (!text.empty()) {
    const size_t count = std::min(text.size(), piece.size());
    std::transform(text.begin(), text.begin() + ptrdiff_t(count), piece.begin(), [](char c) { return uint8_t(c); });
    sink(std::span(piece).first(count));
    text.remove_prefix(count);
  }
}

std::string BytesTokenizer::decode(std::span<const int32_t> tokens) const {
  std::string bytes, out;
  for (const int32_t token : tokens) {
    if (token >= 0 && token < kEnd) {
      bytes += char(token);
      continue;
    }
    out += valid_utf8(bytes).append(kReplacement);
    bytes.clear();
  }
  return out + valid_utf8(bytes);
}

std::string bytes_tokenizer_json() {
  Json vocabulary = Json::object();
  int32_t id = 0;
  for (const std::string& character : byte_characters()) vocabulary[character] = id++;
  const Json end = {
      {"id", BytesTokenizer::kEnd}, {"content", kEndText}, {"single_word", false}, {"lstrip", false}, {"rstrip", false},
      {"normalized", false},        {"special", true}};
  const Json bpe = {{"type", "BPE"},
                    {"dropout", nullptr},
                    {"unk_token", nullptr},
                    {"continuing_subword_prefix", nullptr},
                    {"end_of_word_suffix", nullptr},
                    {"fuse_unk", false},
                    {"byte_fallback", false},
                    {"ignore_merges", false},
                    {"vocab", vocabulary},
                    {"merges", Json::array()}};
  return write_json({{"version", "1.0"},
                     {"truncation", nullptr},
                     {"padding", nullptr},
                     {"added_tokens", Json::array({end})},
                     {"normalizer", nullptr},
                     {"pre_tokenizer", byte_level()},
                     {"post_processor", nullptr},
                     {"decoder", byte_level()},
                     {"model", bpe}});
}

std::string bytes_tokenizer_config_json() {
  return write_json({{"tokenizer_class", "PreTrainedTokenizerFast"}, {"eos_token", kEndText}});
}

bool is_bytes_tokenizer(const Json& tokenizer) {
  static const std::array<std::string, 256> characters = byte_characters();
  const Json &model = child(tokenizer, "model"), &vocabulary = child(model, "vocab"),
             &added = child(tokenizer, "added_tokens");
  if (child(model, "type") != "BPE" || child(model, "merges") != Json::array() || !vocabulary.is_object()) return false;
  if (!child(tokenizer, "normalizer").is_null() || child(child(tokenizer, "pre_tokenizer"), "type") != "ByteLevel")
    return false;
  if (child(child(tokenizer, "pre_tokenizer"), "add_prefix_space") != false) return false;
  if (!added.is_array() || added.size() != 1 || child(added[0], "id") != BytesTokenizer::kEnd) return false;
  if (vocabulary.size() != characters.size()) return false;
  for (size_t b = 0; b < characters.size(); ++b)
    if (child(vocabulary, characters[b].c_str()) != b) return false;
  return true;
}

}  // namespace tandem
