#include "core/data/tokenizer.h"

#include "core/base/file.h"
#include "core/data/bytes_tokenizer.h"

namespace tandem {

std::vector<int32_t> Tokenizer::encode(std::string_view text) const {
  std::vector<int32_t> tokens;
  encode(text, [&](std::span<const int32_t> piece) { tokens.insert(tokens.end(), piece.begin(), piece.end()); });
  return tokens;
}

std::unique_ptr<Tokenizer> open_tokenizer(const std::string& where, uint64_t vocabulary) {
  const std::string path = where + "/tokenizer.json";
  const bool bytes = where == "bytes"    ? true
                     : file_exists(path) ? is_bytes_tokenizer(parse_json(read_text(path), path))
                                         : vocabulary >= BytesTokenizer::kVocabulary;
  return bytes ? std::make_unique<BytesTokenizer>() : nullptr;
}

}  // namespace tandem
