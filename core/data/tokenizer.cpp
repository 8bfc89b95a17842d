#include "core/data/tokenizer.h"

#include <algorithm>
#include <functional>
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

// The tokenizer's files in a directory.
struct Directory {
  TokenizerFiles files;
  std::string path;          // tokenizer.json's
  std::optional<Json> json;  // what it holds, where it is there

  explicit Directory(const std::string& where) : files(tokenizer_files(where)), path(where + "/tokenizer.json") {
    if (std::ranges::count(files.names, "tokenizer.json") == 1)
      json = parse_json(read_text(path), path, Exit::input, JsonRules::patient);
  }
  bool means_bytes(uint64_t vocabulary) const {
    return files.has_tokenizer ? json && is_bytes_tokenizer(*json) : vocabulary >= BytesTokenizer::kVocabulary;
  }
};

// By a tokenizer.json of any kind, whether it is read or not.
std::optional<int32_t> id_in_tokenizer(const std::optional<Json>& json, const std::string& text) {
  if (!json) return {};
  if (const auto id = as_id(child(child(child(*json, "model"), "vocab"), text.c_str()))) return id;
  for (const Json& token : child(*json, "added_tokens"))
    if (child(token, "content") == text) return as_id(child(token, "id"));
  return {};
}

// In added_tokens_decoder of tokenizer_config.json: ids as keys.
std::optional<int32_t> id_in_decoder(const JsonObject& config, const std::string& text) {
  const auto decoder = config.object("added_tokens_decoder");
  for (const std::string& key : decoder ? decoder->keys() : std::vector<std::string>{})
    if (const auto token = decoder->object(key); token && token->string("content") == text)
      return as_id(parse_json(key, config.key_path("added_tokens_decoder"), Exit::input));
  return {};
}

// The id of the eos_token that tokenizer_config.json names.
std::optional<int32_t> configured_end(const std::string& where,
                                      const std::function<std::optional<int32_t>(const std::string&)>& id_of) {
  const std::string path = where + "/tokenizer_config.json";
  if (!file_exists(path)) return {};
  const Json json = parse_json(read_text(path), path, Exit::input, JsonRules::patient);
  const JsonObject config(json, path, Exit::input);
  const Json* named = config.find("eos_token");  // its text, or an object that holds it
  const auto text =
      named && named->is_object() ? config.object("eos_token")->string("content") : config.string("eos_token");
  if (!text) return {};
  const auto id = id_of(*text);
  return id ? id : id_in_decoder(config, *text);
}

}  // namespace

std::vector<int32_t> Tokenizer::encode(std::string_view text) const {
  Encoding encoding;
  encode(text, {}, encoding);
  return std::move(encoding.ids);
}

std::optional<int32_t> end_token(const Tokenizer& tokenizer, const std::string& where) {
  if (const auto end = tokenizer.end()) return end;
  return configured_end(where, [&](const std::string& text) { return tokenizer.id_of(text); });
}

std::optional<int32_t> end_token(const std::string& where, uint64_t vocabulary) {
  if (where == "bytes") return BytesTokenizer::kEnd;
  const Directory directory(where);
  if (directory.means_bytes(vocabulary)) return BytesTokenizer::kEnd;
  return configured_end(where, [&](const std::string& text) { return id_in_tokenizer(directory.json, text); });
}

std::unique_ptr<Tokenizer> open_tokenizer(const std::string& where, uint64_t vocabulary) {
  if (where == "bytes") return std::make_unique<BytesTokenizer>();
  const Directory directory(where);
  const TokenizerFiles& files = directory.files;
  if (!files.has_tokenizer && vocabulary < BytesTokenizer::kVocabulary)
    fail(Exit::configuration, where,
         "has no tokenizer, and a vocabulary of {} is too small for bytes, which take {}; give ids instead (generate: "
         "--prompt-tokens)",
         vocabulary, BytesTokenizer::kVocabulary);
  if (directory.means_bytes(vocabulary)) return std::make_unique<BytesTokenizer>();
  if (!directory.json)
    fail(Exit::configuration, where,
         "has {} but no tokenizer.json, which alone is read; save_pretrained of transformers' AutoTokenizer writes one",
         fmt::join(files.names, ", "));
  return std::make_unique<BpeTokenizer>(read_tokenizer_json(*directory.json, directory.path));
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
