#include "core/data/bytes_tokenizer.h"

#include <algorithm>

#include "core/base/utf8.h"
#include "core/data/byte_level.h"

namespace tandem {
namespace {

constexpr std::string_view kEndText = "<|end|>";

Json byte_level() {
  return {{"type", "ByteLevel"}, {"add_prefix_space", false}, {"trim_offsets", false}, {"use_regex", false}};
}

// How byte-level BPE writes a byte.
std::string byte_text(int32_t byte) {
  return to_byte_level(std::string(1, char(byte)));
}

}  // namespace

std::optional<int32_t> BytesTokenizer::id_of(std::string_view token) const {
  return token == kEndText ? std::optional(kEnd) : std::nullopt;
}

void BytesTokenizer::encode(std::string_view text, const EncodeOptions& options, Encoding& out) const {
  const auto bytes = std::span(reinterpret_cast<const uint8_t*>(text.data()), text.size());
  out.ids.insert(out.ids.end(), bytes.begin(), bytes.end());
  for (size_t i = 0; options.ranges && i < text.size(); ++i) out.ranges.push_back({i, i + 1});
}

size_t BytesTokenizer::cut(std::string_view text, size_t from) const {
  return std::min(from, text.size());
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
  for (int32_t b = 0; b < BytesTokenizer::kEnd; ++b) vocabulary[byte_text(b)] = b;
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
  const Json &model = child(tokenizer, "model"), &vocabulary = child(model, "vocab"),
             &added = child(tokenizer, "added_tokens");
  if (child(model, "type") != "BPE" || child(model, "merges") != Json::array() || !vocabulary.is_object()) return false;
  if (!child(tokenizer, "normalizer").is_null() || child(child(tokenizer, "pre_tokenizer"), "type") != "ByteLevel")
    return false;
  if (child(child(tokenizer, "pre_tokenizer"), "add_prefix_space") != false) return false;
  if (child(child(tokenizer, "decoder"), "type") != "ByteLevel" || !child(tokenizer, "post_processor").is_null())
    return false;
  if (!added.is_array() || added.size() != 1 || child(added[0], "id") != BytesTokenizer::kEnd) return false;
  if (child(added[0], "content") != kEndText) return false;  // another one is read where a text writes it out
  if (vocabulary.size() != BytesTokenizer::kEnd) return false;
  for (int32_t b = 0; b < BytesTokenizer::kEnd; ++b)
    if (child(vocabulary, byte_text(b).c_str()) != b) return false;
  return true;
}

}  // namespace tandem
