#include "core/data/tokenizer.h"

#include <algorithm>
#include <limits>

#include "core/base/file.h"
#include "core/data/bytes_tokenizer.h"
#include "core/data/tokenizer_files.h"
#include "core/data/tokenizer_json.h"

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
  const Json config = parse_json(read_text(settings), settings, Exit::input, JsonRules::patient),
             tokenizer = parse_json(read_text(path), path, Exit::input, JsonRules::patient);
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
  const TokenizerFiles files = tokenizer_files(where);
  if (!files.has_tokenizer) return vocabulary >= BytesTokenizer::kVocabulary;
  const std::string path = where + "/tokenizer.json";
  return std::ranges::count(files.names, "tokenizer.json") == 1 &&
         is_bytes_tokenizer(parse_json(read_text(path), path, Exit::input, JsonRules::patient));
}

std::unique_ptr<Tokenizer> open_tokenizer(const std::string& where, uint64_t vocabulary) {
  if (where == "bytes") return std::make_unique<BytesTokenizer>();
  const TokenizerFiles files = tokenizer_files(where);
  if (!files.has_tokenizer && vocabulary < BytesTokenizer::kVocabulary)
    fail(Exit::configuration, where, "has no tokenizer, and a vocabulary of {} is too small for bytes, which take {}",
         vocabulary, BytesTokenizer::kVocabulary);
  if (!files.has_tokenizer) return std::make_unique<BytesTokenizer>();
  if (std::ranges::count(files.names, "tokenizer.json") == 0)
    fail(Exit::configuration, where,
         "has {} but no tokenizer.json, which alone is read; save_pretrained of transformers' AutoTokenizer writes one",
         fmt::join(files.names, ", "));
  const std::string path = where + "/tokenizer.json";
  const Json json = parse_json(read_text(path), path, Exit::input, JsonRules::patient);
  if (is_bytes_tokenizer(json)) return std::make_unique<BytesTokenizer>();
  return std::make_unique<BpeTokenizer>(read_tokenizer_json(json, path));
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
