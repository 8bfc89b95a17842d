#include "core/data/named_tokenizer.h"

#include <limits>

#include "core/base/file.h"
#include "core/base/json.h"
#include "core/data/tokenizer_files.h"

namespace tandem {
namespace {

// The first id of config.json's eos_token_id, a number or a list.
std::optional<int32_t> first_end(const JsonObject& config) {
  constexpr std::string_view kKey = "eos_token_id";
  constexpr uint64_t kMost = std::numeric_limits<int32_t>::max();
  const Json* value = config.find(kKey);
  if (value == nullptr) return {};
  if (!value->is_array()) return int32_t(*config.integer(kKey, 0, kMost));
  const auto ids = config.integers(kKey);
  if (ids->empty() || ids->front() > kMost) return {};
  return int32_t(ids->front());
}

}  // namespace

NamedTokenizer open_named_tokenizer(const std::string& where) {
  const std::string path = where + "/config.json";
  uint64_t vocabulary = 0;  // decides whether a directory without a tokenizer means bytes
  std::optional<int32_t> model_end;
  if (where != "bytes" && file_exists(path)) {
    const Json value = parse_json(read_text(path, Exit::configuration), path, Exit::configuration, JsonRules::patient);
    const JsonObject config(value, path, Exit::configuration);
    vocabulary = config.integer("vocab_size").value_or(0);
    model_end = first_end(config);
  } else if (where != "bytes" && !tokenizer_files(where).has_tokenizer) {
    fail(Exit::configuration, "--tokenizer", "{} is neither \"bytes\" nor a directory with a tokenizer.json", where);
  }
  auto tokenizer = open_tokenizer(where, vocabulary);
  const auto end = end_token(*tokenizer, where);
  return {std::move(tokenizer), end ? end : model_end};
}

}  // namespace tandem
