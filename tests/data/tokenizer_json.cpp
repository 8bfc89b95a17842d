#include "core/data/tokenizer_json.h"

#include <doctest/doctest.h>

#include "tests/data/scratch.h"

namespace tandem {
namespace {

// a tokenizer.json with parts replaced, each by its JSON pointer
Json with(const std::vector<std::pair<std::string, Json>>& changes) {
  Json json = Json::parse(R"({
    "version": "1.0", "truncation": null, "padding": null, "added_tokens": [], "normalizer": null,
    "pre_tokenizer": null, "post_processor": null, "decoder": null,
    "model": {"type": "BPE", "dropout": null, "unk_token": null, "continuing_subword_prefix": null,
              "end_of_word_suffix": null, "fuse_unk": false, "byte_fallback": false, "ignore_merges": false,
              "vocab": {"a": 0, "b": 1, "ab": 2, "<unk>": 3, "<0xC3>": 4, "<0xA9>": 5, "\u2581": 6},
              "merges": ["a b"]}})");
  for (const auto& [pointer, value] : changes) json[Json::json_pointer(pointer)] = value;
  return json;
}

BpeTokenizer tokenizer_with(const std::vector<std::pair<std::string, Json>>& changes) {
  return BpeTokenizer(read_tokenizer_json(with(changes), "t.json"));
}

using Ids = std::vector<int32_t>;

TEST_CASE("tokenizer.json: what is not read is refused by its path") {
  const auto step = [](const char* text) { return Json::parse(text); };
  const struct {
    std::string pointer;
    Json value;
    std::string message;
  } cases[] = {
      {"/version", "2.0", R"(version is "2.0", which is not read; "1.0" is)"},
      {"/model/type", "Unigram", R"(model.type is "Unigram", which is not read; BPE is)"},
      {"/model/type", "WordPiece", R"(model.type is "WordPiece", which is not read; BPE is)"},
      {"/model/dropout", 0.1, "model.dropout is 0.1, which is not read; null is"},
      {"/model/end_of_word_suffix", "</w>", "model.end_of_word_suffix is"},
      {"/model/continuing_subword_prefix", "##", "model.continuing_subword_prefix is"},
      {"/normalizer", step(R"({"type": "NFKC"})"), R"(normalizer.type is "NFKC")"},
      {"/normalizer", step(R"({"type": "Sequence", "normalizers": [{"type": "NFC"}, {"type": "Lowercase"}]})"),
       R"(normalizer.normalizers[1].type is "Lowercase")"},
      {"/normalizer", step(R"({"type": "Replace", "pattern": {"Regex": "a"}, "content": ""})"),
       R"(normalizer.pattern is {"Regex":"a"}, which is not read; a String is)"},
      {"/pre_tokenizer", step(R"({"type": "Whitespace"})"), R"(pre_tokenizer.type is "Whitespace")"},
      {"/pre_tokenizer", step(R"({"type": "Split", "pattern": {"Regex": "a"}, "behavior": "Removed"})"),
       R"(pre_tokenizer.behavior is "Removed")"},
      {"/pre_tokenizer",
       step(R"({"type": "Split", "pattern": {"Regex": "a"}, "behavior": "Isolated", "invert": true})"),
       "pre_tokenizer.invert is true"},
      {"/pre_tokenizer", step(R"({"type": "Punctuation", "behavior": "Removed"})"), "pre_tokenizer.behavior is"},
      {"/pre_tokenizer", step(R"({"type": "Metaspace", "replacement": "_", "prepend_scheme": "last"})"),
       "pre_tokenizer.prepend_scheme is"},
      {"/pre_tokenizer", step(R"({"type": "Sequence", "pretokenizers": [{"type": "Digits", "individual_digits": true},
                                                      {"type": "ByteLevel", "add_prefix_space": true}]})"),
       "pre_tokenizer.pretokenizers[1].add_prefix_space is true"},
      {"/decoder", step(R"({"type": "WordPiece"})"), R"(decoder.type is "WordPiece")"},
  };
  for (const auto& c : cases) {
    const std::string said = thrown(Exit::configuration, [&] {
      read_tokenizer_json(with({{c.pointer, c.value}}), "DIR/tokenizer.json");
    });
    CAPTURE(said);
    CHECK(said.starts_with("[DIR/tokenizer.json] " + c.message));
  }
  const Json split = step(R"({"type": "Split", "pattern": {"Regex": "a.b"}, "behavior": "Isolated"})");
  CHECK(thrown(Exit::configuration, [&] {
          read_tokenizer_json(with({{"/pre_tokenizer", split}}), "t.json");
        }).starts_with("[t.json, pre_tokenizer.pattern.Regex] the pattern a.b has a . at byte 1"));
}

TEST_CASE("tokenizer.json: damage is named") {
  const struct {
    std::string pointer;
    Json value;
    std::string message;
  } cases[] = {
      {"/model/merges", Json::array({"a c"}), "model.merges[0] is of \"c\""},
      {"/model/merges", Json::array({"b a"}), "model.merges[0] is of \"ba\""},
      {"/model/merges", Json::array({"a b c"}), "model.merges[0] is \"a b c\""},
      {"/model/merges", Json::array({Json::array({"a", "b"}), "a b"}), "model.merges[1] is \"a b\""},
      {"/model/merges", "a b", "key model.merges is"},
      {"/model/vocab/c", 2, "model.vocab has the id 2 for two tokens, \"ab\" and \"c\""},
      {"/model/vocab/c", -1, "model.vocab has the id -1"},
      {"/model/vocab/c", 1u << 30, "model.vocab has the id 1073741824"},
      {"/model/vocab", Json::array(), "key model.vocab is"},
      {"/model/ignore_merges", 1, "key model.ignore_merges is 1"},
      {"/model", nullptr, "model is null"},
      {"/added_tokens", Json::array({Json::object()}), "key added_tokens[0].content is missing"},
  };
  for (const auto& c : cases) {
    const std::string said = thrown(Exit::input, [&] { read_tokenizer_json(with({{c.pointer, c.value}}), "t.json"); });
    CAPTURE(said);
    CHECK(said.starts_with("[t.json] " + c.message));
  }
  const BpeTokenizer tokenizer = tokenizer_with({});
  CHECK(thrown(Exit::input, [&] { tokenizer.encode("az"); }).starts_with("[t.json] the text has U+007A"));
}

// expected ids: the reference's
TEST_CASE("tokenizer.json: characters that are no token") {
  const std::vector<std::pair<std::string, Json>> unk = {{"/model/unk_token", "<unk>"}};
  CHECK(tokenizer_with(unk).encode("azzb") == Ids{0, 3, 3, 1});
  auto fused = unk;
  fused.push_back({"/model/fuse_unk", true});
  CHECK(tokenizer_with(fused).encode("azzb") == Ids{0, 3, 1});
  auto bytes = fused;
  bytes.push_back({"/model/byte_fallback", true});
  CHECK(tokenizer_with(bytes).encode("a\u00e9b") == Ids{0, 4, 5, 1});
  CHECK(tokenizer_with(bytes).encode("a\u00fc\u00e9b") == Ids{0, 4, 5, 3, 1});  // the bytes overtake what is unk
  CHECK(tokenizer_with(bytes).encode("z\u00e9a") == Ids{4, 5, 3, 0});
  const BpeTokenizer unknown = tokenizer_with({{"/model/unk_token", "<x>"}});  // The vocabulary lacks it.
  CHECK(unknown.encode("abba") == Ids{2, 1, 0});
  CHECK(thrown(Exit::input, [&] { unknown.encode("az"); }).starts_with("[t.json] the text has U+007A"));
}

// As in the reference, a file's ids of added tokens are not read.
TEST_CASE("tokenizer.json: an added token has its id in the vocabulary, or the next") {
  const Json x = Json::parse(R"({"id": 90, "content": "<x>", "special": true, "normalized": false})"),
             ab = Json::parse(R"({"id": 91, "content": "ab", "special": true, "normalized": false})");
  const BpeTokenizer tokenizer = tokenizer_with({{"/added_tokens", Json::array({ab, x})}});
  CHECK(tokenizer.encode("ab<x>ab") == Ids{2, 7, 2});
  CHECK(tokenizer.vocabulary_size() == 8);
  CHECK(tokenizer.id_of("<x>") == 7);
  CHECK(tokenizer.decode(Ids{2, 7, 99, 0}) == "ab <x> \uFFFD a");
}

TEST_CASE("tokenizer.json: added tokens take white space, and keep away from words") {
  Json token = Json::parse(R"({"content": "<x>", "normalized": false, "lstrip": true, "rstrip": true})");
  const std::vector<std::pair<std::string, Json>> unk = {{"/model/unk_token", "<unk>"}};
  const auto encode = [&](const std::string& text) {
    auto changes = unk;
    changes.push_back({"/added_tokens", Json::array({token})});
    return tokenizer_with(changes).encode(text);
  };
  CHECK(encode("a \u00a0<x>\n b") == Ids{0, 7, 1});
  CHECK(encode("a <x> <x>b") == Ids{0, 7, 7, 1});
  token["lstrip"] = token["rstrip"] = false;
  CHECK(encode("a <x>b") == Ids{0, 3, 7, 1});
  token["single_word"] = true;
  CHECK(encode("<x>") == Ids{7});
  CHECK(encode("a<x>") == Ids{0, 3, 3, 3});
  CHECK(encode("<x>b") == Ids{3, 3, 3, 1});
}

// expected texts: the reference's, but for the id without a token
TEST_CASE("tokenizer.json: decoders") {
  const auto decode = [&](const char* decoder, const Ids& ids) {
    return tokenizer_with({{"/decoder", Json::parse(decoder)}}).decode(ids);
  };
  CHECK(decode("null", {0, 2}) == "a ab");
  CHECK(decode(R"({"type": "Fuse"})", {0, 2, 4}) == "aab<0xC3>");
  CHECK(decode(R"({"type": "ByteFallback"})", {4, 5, 0, 4, 4, 0, 4}) == "\u00e9a\uFFFD\uFFFDa\uFFFD");
  CHECK(decode(R"({"type": "Metaspace", "replacement": "\u2581"})", {6, 0, 6, 0}) == "a a");
  CHECK(decode(R"({"type": "Metaspace", "replacement": "\u2581", "prepend_scheme": "never"})", {6, 0}) == " a");
  CHECK(decode(R"({"type": "Replace", "pattern": {"String": "a"}, "content": "c"})", {0, 2}) == "ccb");
  CHECK(decode(R"({"type": "Strip", "content": "a", "start": 1, "stop": 0})", {2, 0}) == "b");
  CHECK(decode(R"({"type": "Sequence", "decoders": []})", {0, 2}) == "aab");
  CHECK(decode(R"({"type": "ByteLevel"})", {0, 6, 99}) == "a\u2581\uFFFD");
}

}  // namespace
}  // namespace tandem
