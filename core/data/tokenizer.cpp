#include "core/data/tokenizer.h"

#include <limits>

#include "core/base/file.h"
#include "core/data/bytes_tokenizer.h"

namespace tandem {

std::vector<int32_t> Tokenizer::encode(std::string_view text) const {
  std::vector<int32_t> tokens;
  encode(text, [&](std::span<const int32_t> piece) { tokens.insert(tokens.end(), piece.begin(), piece.end()); });
  return tokens;
}

std::optional<int32_t> end_token(const std::string& directory) {
  const std::string settings = directory + "/tokenizer_config.json", path = directory + "/tokenizer.json";
  if (!file_exists(settings) || !file_exists(path)) return {};
  const Json config = parse_json(read_text(settings), settings), tokenizer = parse_json(read_text(path), path);
  const Json& named = child(config, "eos_token");  // its text, or an object that holds it
  const Json& text = named.is_object() ? child(named, "content") : named;
  if (!text.is_string()) return {};
  const Json* id = &child(child(child(tokenizer, "model"), "vocab"), text.get_ref<const std::string&>().c_str());
  for (const Json& token : child(tokenizer, "added_tokens"))
    if (child(token, "content") == text) id = &child(token, "id");
  if (!id->is_number_unsigned() || *id > std::numeric_limits<int32_t>::max()) return {};
  return id->get<int32_t>();
}

std::unique_ptr<Tokenizer> open_tokenizer(const std::string& where, uint64_t vocabulary) {
  const std::string path = where + "/tokenizer.json";
  const bool bytes = where == "bytes"    ? true
                     : file_exists(path) ? is_bytes_tokenizer(parse_json(read_text(path), path))
                                         : vocabulary >= BytesTokenizer::kVocabulary;
  return bytes ? std::make_unique<BytesTokenizer>() : nullptr;
}

}  // namespace tandem
