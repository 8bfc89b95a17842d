// Five small tokenizers against what the Python package `tokenizers` makes of texts (tests/data/make_tokenizers.py).
#include <doctest/doctest.h>

#include <algorithm>
#include <cstdlib>
#include <string>

#include "core/base/file.h"
#include "core/base/hash.h"
#include "core/base/json.h"
#include "core/data/bpe_tokenizer.h"
#include "core/data/tokenizer_json.h"

namespace tandem {
namespace {

Json read(const std::string& name) {
  const std::string path = std::string(std::getenv("TANDEM_SOURCE_ROOT")) + "/tests/data/tokenizers/" + name + ".json";
  return parse_json(read_text(path), path);
}

std::string hash_of(const std::vector<int32_t>& ids) {
  return xxh3(std::as_bytes(std::span(ids)));
}

// Merges in the other spelling: "a b" for ["a", "b"], and back.
Json respelled(Json tokenizer) {
  for (Json& merge : tokenizer["model"]["merges"]) {
    if (merge.is_array()) {
      merge = merge[0].get<std::string>() + " " + merge[1].get<std::string>();
    } else {
      const std::string text = merge;
      merge = Json::array({text.substr(0, text.find(' ')), text.substr(text.find(' ') + 1)});
    }
  }
  return tokenizer;
}

std::vector<int32_t> encode_parts(const BpeTokenizer& tokenizer, std::string_view text, size_t step, size_t& cuts) {
  Encoding encoding;
  for (size_t from = 0; from < text.size();) {
    const size_t to = tokenizer.cut(text, from + step);
    tokenizer.encode(text.substr(from, to - from), {.continues = from > 0}, encoding);
    cuts += to < text.size();
    from = to;
  }
  return encoding.ids;
}

// Tokens stand for bytes in order, and all bytes are some token's.
void check_ranges(const BpeTokenizer& tokenizer, std::string_view text, const std::vector<int32_t>& ids) {
  Encoding encoding;
  tokenizer.encode(text, {.ranges = true}, encoding);
  CHECK(encoding.ids == ids);
  REQUIRE(encoding.ranges.size() == ids.size());
  uint64_t end = 0;
  bool whole = true;
  for (const ByteRange& range : encoding.ranges) {
    whole &= range.begin <= end && range.begin < range.end && range.end >= end;
    end = range.end;
  }
  CHECK(whole);
  CHECK(end == text.size());
}

void check_kind(const std::string& name, bool cut_somewhere) {
  const Json json = read(name), texts = read("texts"), expected = read("expected").at(name);
  const BpeTokenizer tokenizer(read_tokenizer_json(json, name)), other(read_tokenizer_json(respelled(json), name));
  CHECK(texts.size() > 1000);
  size_t cuts = 0, tokens = 0;
  for (size_t i = 0; i < texts.size(); ++i) {
    const std::string text = texts[i];
    CAPTURE(i);
    CAPTURE(text.substr(0, 100));
    const std::vector<int32_t> ids = tokenizer.encode(text);
    tokens += ids.size();
    CHECK(hash_of(ids) == expected.at("ids")[i].get<std::string>());
    CHECK(other.encode(text) == ids);
    CHECK(encode_parts(tokenizer, text, 1, cuts) == ids);
    CHECK(encode_parts(tokenizer, text, 100, cuts) == ids);
    const std::string decoded = tokenizer.decode(ids);
    CHECK(xxh3(std::as_bytes(std::span(decoded))) == expected.at("decoded")[i].get<std::string>());
    check_ranges(tokenizer, text, ids);
  }
  CHECK(tokens == expected.at("tokens").get<size_t>());
  CHECK((cuts > 1000) == cut_somewhere);
}

TEST_CASE("tokenizer: the kind of Qwen2, as the reference") {
  check_kind("qwen2", true);
}
TEST_CASE("tokenizer: the kind of Llama 3, as the reference") {
  check_kind("llama3", true);
}
TEST_CASE("tokenizer: the kind of GPT-2, as the reference") {
  check_kind("gpt2", true);
}
TEST_CASE("tokenizer: the kind of DeepSeek, as the reference; no text is cut") {
  check_kind("deepseek", false);
}
TEST_CASE("tokenizer: the kind of Llama 2, as the reference") {
  check_kind("llama2", true);
}

TEST_CASE("tokenizer: bos is what the post-processor puts in front") {
  const auto bos = [](const Json& json) { return read_tokenizer_json(json, "t").bos; };
  CHECK(bos(read("llama3")) == 3997);
  CHECK(bos(read("qwen2")) == std::nullopt);
  Json json = read("llama3");
  json["post_processor"]["processors"][1]["single"].erase(0);
  CHECK(bos(json) == std::nullopt);
}

TEST_CASE("tokenizer: special tokens that a text spells out are ids or text, and are counted") {
  const BpeTokenizer tokenizer(read_tokenizer_json(read("qwen2"), "t"));
  const std::string text = "a<|im_end|>b<think>";
  Encoding ids, as_text;
  tokenizer.encode(text, {}, ids);
  CHECK(ids.special == 1);  // <think> is an added token, but not a special one
  CHECK(ids.ids == std::vector<int32_t>{*tokenizer.id_of("a"), *tokenizer.id_of("<|im_end|>"), *tokenizer.id_of("b"),
                                        *tokenizer.id_of("<think>")});
  tokenizer.encode(text, {.special_tokens = false}, as_text);
  CHECK(as_text.special == 1);
  CHECK(std::count(as_text.ids.begin(), as_text.ids.end(), *tokenizer.id_of("<|im_end|>")) == 0);
  CHECK(as_text.ids.back() == *tokenizer.id_of("<think>"));
  CHECK(tokenizer.decode(as_text.ids) == text);
}

TEST_CASE("tokenizer: what normalization changed counts whole") {
  const BpeTokenizer tokenizer(read_tokenizer_json(read("qwen2"), "t"));
  Encoding encoding;
  tokenizer.encode("xe\u0301\u4e16", {.ranges = true}, encoding);  // x, e and an accent, a character of three bytes
  std::vector<ByteRange> ranges = encoding.ranges;
  REQUIRE(ranges.size() >= 3);
  CHECK(ranges[0] == ByteRange{0, 1});
  CHECK(ranges[1] == ByteRange{1, 4});
  CHECK(ranges.back().end == 7);
}

TEST_CASE("tokenizer: a piece of a million symbols is merged in time") {
  const BpeTokenizer tokenizer(read_tokenizer_json(read("qwen2"), "t"));
  std::string text;
  while (text.size() < 1'000'000) text += "thequickbrownfoxandsoon";
  const std::vector<int32_t> ids = tokenizer.encode(text);
  CHECK(ids.size() < text.size() / 2);
  CHECK(tokenizer.decode(ids) == text);
}

}  // namespace
}  // namespace tandem
