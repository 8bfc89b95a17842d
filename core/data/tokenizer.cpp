#include "core/data/tokenizer.h"

#include <limits>

#include "core/base/file.h"
#include "core/data/bytes_tokenizer.h"

namespace tandem {

std::vector<int32_t> Tokenizer::encode(std::string_view text) const {
  Encoding encoding;
  encode(text, {}, encoding);
  return std::move(encoding.ids);
}

std::optional<int32_t> end_token(const std::string& where, uint64_t vocabulary) {
  if (means_bytes(where, vocabulary)) return BytesTokenizer::kEnd;
  const std::string settings = where + "/tokenizer_config.json", path = where + "/tokenizer.json";
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

bool means_bytes(const std::string& where, uint64_t vocabulary) {
  if (where == "bytes") return true;
  const std::string path = where + "/tokenizer.json";
  if (file_exists(path)) return is_bytes_tokenizer(parse_json(read_text(path), path));
  return vocabulary >= BytesTokenizer::kVocabulary;
}

std::unique_ptr<Tokenizer> open_tokenizer(const std::string& where, uint64_t vocabulary) {
  if (means_bytes(where, vocabulary)) return std::make_unique<BytesTokenizer>();
  fail(Exit::configuration, where, "has a tokenizer that this command does not read; run tools/tokenize --tokenizer {}",
       where);
}

std::unique_ptr<Tokenizer> find_tokenizer(const std::string& where, uint64_t vocabulary) {
  try {
    return open_tokenizer(where, vocabulary);
  } catch (const Error& e) {
    if (e.exit() != Exit::configuration) throw;
    return nullptr;
  }
}

}  // namespace tandem
