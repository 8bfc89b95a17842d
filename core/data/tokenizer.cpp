#include "core/data/tokenizer.h"

#include <algorithm>
#include <limits>

#include "core/base/file.h"
#include "core/data/bytes_tokenizer.h"
#include "core/data/tokenizer_files.h"
#include "core/data/tokenizer_json.h"

namespace tandem {

namespace {

std::optional<int32_t> as_id(const Json& value) {
  if (!value.is_number_unsigned() || value > std::numeric_limits<int32_t>::max()) return {};
  return value.get<int32_t>();
}

// Of any kind, whether it is read or not.
std::optional<int32_t> id_in_tokenizer(const std::string& path, const std::string& text) {
  if (!file_exists(path)) return {};
  const Json json = parse_json(read_text(path), path, Exit::input, JsonRules::patient);
  for (const Json& token : child(json, "added_tokens"))
    if (child(token, "content") == text) return as_id(child(token, "id"));
  return as_id(child(child(child(json, "model"), "vocab"), text.c_str()));
}

// In added_tokens_decoder of tokenizer_config.json: ids as keys.
std::optional<int32_t> id_in_decoder(const JsonObject& config, const std::string& text) {
  const auto decoder = config.object("added_tokens_decoder");
  for (const std::string& key : decoder ? decoder->keys() : std::vector<std::string>{})
    if (const auto token = decoder->object(key); token && token->string("content") == text)
      return as_id(parse_json(key, config.key_path("added_tokens_decoder"), Exit::input));
  return {};
}

}  // namespace

std::vector<int32_t> Tokenizer::encode(std::string_view text) const {
  Encoding encoding;
  encode(text, {}, encoding);
  return std::move(encoding.ids);
}

std::optional<int32_t> end_token(const std::string& where, uint64_t vocabulary) {
  if (means_bytes(where, vocabulary)) return BytesTokenizer::kEnd;
  const std::string path = where + "/tokenizer_config.json";
  if (!file_exists(path)) return {};
  const Json json = parse_json(read_text(path), path, Exit::input, JsonRules::patient);
  const JsonObject config(json, path, Exit::input);
  const Json* named = config.find("eos_token");  // its text, or an object that holds it
  const auto text =
      named && named->is_object() ? config.object("eos_token")->string("content") : config.string("eos_token");
  if (!text) return {};
  const auto id = id_in_tokenizer(where + "/tokenizer.json", *text);
  return id ? id : id_in_decoder(config, *text);
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
    fail(Exit::configuration, where,
         "has no tokenizer, and a vocabulary of {} is too small for bytes, which take {}; give ids instead (generate: "
         "--prompt-tokens)",
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
