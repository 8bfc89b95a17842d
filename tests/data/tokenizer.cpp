#include <doctest/doctest.h>

#include <filesystem>

#include "core/data/bytes_tokenizer.h"
#include "tests/data/scratch.h"

namespace tandem {
namespace {

TEST_CASE("bytes: every byte is its own token") {
  std::string text;
  for (int b = 0; b < 256; ++b) text += char(b);
  const BytesTokenizer tokenizer;
  const std::vector<int32_t> tokens = tokenizer.encode(text);
  REQUIRE(tokens.size() == 256);
  for (int b = 0; b < 256; ++b) CHECK(tokens[size_t(b)] == b);
  const std::string long_text(100000, 'x');
  CHECK(tokenizer.encode(long_text) == std::vector<int32_t>(100000, 'x'));
  CHECK(tokenizer.cut(long_text, 65536) == 65536);
  CHECK(tokenizer.cut(long_text, 100001) == 100000);
  Encoding encoding;
  tokenizer.encode("ab", {.ranges = true}, encoding);
  CHECK(encoding.ranges == std::vector<ByteRange>{{0, 1}, {1, 2}});
}

// expected: what Python 3.11's bytes.decode("utf-8", "replace") gives
TEST_CASE("bytes: invalid UTF-8 becomes U+FFFD, once for each maximal part") {
  const std::pair<std::string, std::string> cases[] = {
      {"abc", "abc"},
      {"\303\251", "\303\251"},
      {"\342\202", "\357\277\275"},
      {"\342\202\101", "\357\277\275\101"},
      {"\360\237\230\200", "\360\237\230\200"},
      {"\360\237\230", "\357\277\275"},
      {"\355\240\200", "\357\277\275\357\277\275\357\277\275"},
      {"\300\257", "\357\277\275\357\277\275"},
      {"\364\220\200\200", "\357\277\275\357\277\275\357\277\275\357\277\275"},
      {"\377\376", "\357\277\275\357\277\275"},
      {"\340\200\200", "\357\277\275\357\277\275\357\277\275"},
      {"\361\200\200\341\200\302", "\357\277\275\357\277\275\357\277\275"},
      {"\101\303", "\101\357\277\275"},
      {std::string("\0\177", 2), std::string("\0\177", 2)},
  };
  const BytesTokenizer tokenizer;
  for (const auto& [bytes, text] : cases) CHECK(tokenizer.decode(tokenizer.encode(bytes)) == text);
}

TEST_CASE("bytes: ids without text become U+FFFD and end what stands before") {
  const BytesTokenizer tokenizer;
  CHECK(tokenizer.decode(std::vector<int32_t>{65, 256, 66, 300, -1}) == "A\uFFFDB\uFFFD\uFFFD");
  CHECK(tokenizer.decode(std::vector<int32_t>{0xc3, 256, 0xa9}) == "\uFFFD\uFFFD\uFFFD");
}

TEST_CASE("open_tokenizer: bytes by name, by its tokenizer.json, or by a large enough vocabulary") {
  const ScratchDirectory scratch;
  const std::string directory = scratch.path("");
  CHECK(find_tokenizer("bytes", 0) != nullptr);
  CHECK(find_tokenizer(directory, 257) != nullptr);
  CHECK(find_tokenizer(directory, 256) == nullptr);
  scratch.write("tokenizer.json", bytes_tokenizer_json());
  CHECK(find_tokenizer(directory, 0) != nullptr);
  Json other = parse_json(bytes_tokenizer_json(), "t");
  other["model"]["type"] = "Unigram";
  scratch.write("tokenizer.json", other.dump());
  CHECK(find_tokenizer(directory, 257) == nullptr);
  scratch.write("tokenizer.json", "{");
  CHECK(!thrown(Exit::input, [&] { open_tokenizer(directory, 257); }).empty());
}

// The added token of another model is read where a text writes it out, as no byte is.
TEST_CASE("open_tokenizer: 256 bytes and another added token are no bytes") {
  const ScratchDirectory scratch;
  Json json = parse_json(bytes_tokenizer_json(), "tokenizer.json");
  const auto open = [&] {
    scratch.write("tokenizer.json", json.dump());
    return open_tokenizer(scratch.path(""), 0);
  };
  CHECK(open()->takes_any_bytes());
  json["added_tokens"][0]["content"] = "<|endoftext|>";
  CHECK_FALSE(open()->takes_any_bytes());
  CHECK(open()->encode("a<|endoftext|>b") == std::vector<int32_t>{'a', 256, 'b'});
  json["added_tokens"][0] = {{"id", 256}};
  CHECK(thrown(Exit::input, open).find("added_tokens[0].content is missing") != std::string::npos);
}

TEST_CASE("end_token: what tokenizer_config.json names, by the tokenizer's ids") {
  const ScratchDirectory scratch;
  const std::string directory = scratch.path("");
  const auto end = [&](const char* config) {
    scratch.write("tokenizer_config.json", config);
    return end_token(directory, 0);
  };
  CHECK(!end_token(directory, 0));
  CHECK(!end(R"({"eos_token": "<end>"})"));
  scratch.write("tokenizer.json", R"({"added_tokens": [{"id": 7, "content": "<pad>"}, {"id": 9, "content": "<end>"}],
                                      "model": {"vocab": {"a": 0, "</s>": 2, "<end>": 3}}})");
  CHECK(end(R"({"eos_token": "<end>"})") == 3);  // the vocabulary comes first, as where the tokenizer is read
  CHECK(end(R"({"eos_token": {"content": "<pad>", "special": true}})") == 7);
  CHECK(end(R"({"eos_token": "</s>"})") == 2);
  for (const char* none : {"{}", R"({"eos_token": null})", R"({"eos_token": "<other>"})"}) CHECK(!end(none));
  for (const char* wrong :
       {R"({"eos_token": 3})", R"({"eos_token": {"content": 3}})", R"({"eos_token": 1, "eos_token": 2})"})
    CHECK(thrown(Exit::input, [&] { end(wrong); }).find("eos_token") != std::string::npos);
  const char* listed =
      R"({"eos_token": "<last>", "added_tokens_decoder": {"8": {"content": "<a>"}, "11": {"content": "<last>"}}})";
  CHECK(end(listed) == 11);
  CHECK(thrown(Exit::input, [&] { end("{"); }).find("tokenizer_config.json") != std::string::npos);
  scratch.write("tokenizer.json", R"({"model": {"vocab": [["</s>", 0.5]]}})");
  CHECK(!end(R"({"eos_token": "</s>"})"));
}

}  // namespace
}  // namespace tandem
