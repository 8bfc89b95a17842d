#include "core/data/tokenize.h"

#include <algorithm>
#include <filesystem>
#include <memory>
#include <optional>

#include "core/base/file.h"
#include "core/base/json.h"
#include "core/data/token_writer.h"
#include "core/data/tokenizer.h"
#include "core/data/tokenizer_files.h"

namespace tandem {
namespace {

constexpr size_t kPart = 1 << 20;  // bytes of a long document that are encoded at once

// The model's vocabulary by its config.json, which decides whether a directory without a tokenizer means bytes.
uint64_t vocabulary_of(const std::string& tokenizer) {
  const std::string path = tokenizer + "/config.json";
  if (tokenizer == "bytes" || tokenizer_files(tokenizer).has_tokenizer) return 0;
  if (!file_exists(path))
    fail(Exit::configuration, "--tokenizer", "{} is neither \"bytes\" nor a directory with a tokenizer.json",
         tokenizer);
  const Json config = parse_json(read_text(path, Exit::configuration), path, Exit::configuration, JsonRules::patient);
  return JsonObject(config, path, Exit::configuration).integer("vocab_size").value_or(0);
}

void check_input(const std::string& path, const std::string& out) {
  if (!path.ends_with(".txt") && !path.ends_with(".jsonl"))
    fail(Exit::configuration, path, "is neither a .txt file (one document) nor a .jsonl file (one a line, key text)");
  std::error_code none;
  if (std::filesystem::equivalent(path, out, none))
    fail(Exit::configuration, "--out", "{} is the input {}, which is not overwritten; name another file", out, path);
}

std::string_view text_of(const MappedFile& file) {
  return {reinterpret_cast<const char*>(file.bytes().data()), file.bytes().size()};
}

}  // namespace

void for_each_document(std::string_view jsonl, const std::string& path,
                       const std::function<void(std::string_view text)>& document) {
  for (uint64_t number = 1; !jsonl.empty(); ++number) {
    const size_t length = std::min(jsonl.find('\n'), jsonl.size());
    const std::string_view line = jsonl.substr(0, length);
    jsonl.remove_prefix(std::min(length + 1, jsonl.size()));
    if (line.find_first_not_of(" \t\r") == std::string_view::npos) continue;
    const std::string place = fmt::format("{}:{}", path, number);
    const Json value = parse_json(line, place, Exit::input, JsonRules::patient);
    const auto text = JsonObject(value, place, Exit::input).string("text");
    if (!text) fail(Exit::input, place, "has no string under the key text, expected {{\"text\": \"...\"}}");
    document(*text);
  }
}

TokenizeResult tokenize(const std::string& tokenizer, const std::vector<std::string>& inputs, const std::string& out) {
  for (const std::string& path : inputs) check_input(path, out);
  const uint64_t vocabulary = vocabulary_of(tokenizer);
  const auto encoder = open_tokenizer(tokenizer, vocabulary);
  const std::optional<int32_t> end = end_token(tokenizer, vocabulary);
  if (!end) fail(Exit::configuration, tokenizer, "names no token that ends a document");
  TokenWriter writer(out, encoder->vocabulary_size());
  TokenizeResult result;
  const auto document = [&](std::string_view text) {
    writer.begin_document();
    size_t from = 0;
    do {
      const size_t to = encoder->cut(text, from + kPart);
      Encoding part;
      encoder->encode(text.substr(from, to - from), {.continues = from > 0}, part);
      if (to == text.size()) part.ids.push_back(*end);
      writer.append(part.ids);
      from = to;
    } while (from < text.size());
    ++result.documents;
  };
  for (const std::string& path : inputs) {
    const MappedFile file(path);
    if (path.ends_with(".txt")) document(text_of(file));
    else for_each_document(text_of(file), path, document);
  }
  if (writer.size() == 0) fail(Exit::input, inputs.front(), "holds no document, so there is nothing to write");
  writer.finish();
  writer.publish();
  result.tokens = writer.size();
  return result;
}

}  // namespace tandem
