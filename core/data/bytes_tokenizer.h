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
  std::optional<int32_t> id_of(std::string_view token) const override;
  std::optional<int32_t> end() const override { return kEnd; }
  bool takes_any_bytes() const override { return true; }
  using Tokenizer::encode;
  void encode(std::string_view text, const EncodeOptions& options, Encoding& out) const override;
  size_t cut(std::string_view text, size_t from) const override;
  std::string decode(std::span<const int32_t> tokens) const override;
};

// The tokenizer for transformers: byte-level BPE of 256 entries in byte order without merges, and <|end|> = 256.
std::string bytes_tokenizer_json();
std::string bytes_tokenizer_config_json();

// Whether a tokenizer.json is the one above, in whatever spelling transformers saved it again.
bool is_bytes_tokenizer(const Json& tokenizer);

}  // namespace tandem
