// The `bytes` tokenizer: byte b is token b, 256 ends a document.
#pragma once

#include "core/base/json.h"
#include "core/data/tokenizer.h"

namespace tandem {

class BytesTokenizer : public Tokenizer {
 public:
  static constexpr uint32_t kVocabulary = 257;
  static constexpr int32_t kEnd = 256;

  uint32_t vocabulary_size() const override { return kVocabulary; }
  int32_t document_end() const override { return kEnd; }
  using Tokenizer::encode;
  void encode(std::string_view text, const Sink& sink) const override;
  std::string decode(std::span<const int32_t> tokens) const override;
};

// The tokenizer for transformers: byte-level BPE of 256 entries in byte order without merges, and <|end|> = 256.
std::string bytes_tokenizer_json();
std::string bytes_tokenizer_config_json();

// Whether a tokenizer.json is the one above, in whatever spelling transformers saved it again.
bool is_bytes_tokenizer(const Json& tokenizer);

// text with each maximal part that is no UTF-8 replaced by U+FFFD, as the Unicode standard recommends (section 3.9)
std::string valid_utf8(std::string_view text);

}  // namespace tandem
