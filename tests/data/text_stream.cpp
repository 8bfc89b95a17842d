#include "core/data/text_stream.h"

#include <doctest/doctest.h>

#include "core/data/bytes_tokenizer.h"
#include "core/data/tokenizer_json.h"

namespace tandem {
namespace {

using Ids = std::vector<int32_t>;
using Texts = std::vector<std::string>;

// what each token adds, and what is left at the end
Texts stream(const Tokenizer& tokenizer, const Ids& prompt, const Ids& answer) {
  TextStream text(tokenizer, prompt);
  Texts parts;
  for (const int32_t token : answer) parts.push_back(text.push(token));
  parts.push_back(text.finish());
  return parts;
}

// U+2581 and a are tokens, and bytes are: a part of what Llama 2 has
BpeTokenizer llama() {
  Json vocabulary = {{"<unk>", 0}, {"\u2581", 1}, {"a", 2}};
  for (int32_t byte = 0; byte < 256; ++byte) vocabulary[fmt::format("<0x{:02X}>", byte)] = 3 + byte;
  const Json decoders = Json::parse(R"([{"type": "Replace", "pattern": {"String": "\u2581"}, "content": " "},
    {"type": "ByteFallback"}, {"type": "Fuse"}, {"type": "Strip", "content": " ", "start": 1, "stop": 0}])");
  return BpeTokenizer(
      read_tokenizer_json({{"decoder", {{"type", "Sequence"}, {"decoders", decoders}}},
                           {"model", {{"type", "BPE"}, {"vocab", vocabulary}, {"merges", Json::array()}}}},
                          "t.json"));
}
Ids byte_ids(std::string_view bytes) {
  Ids ids;
  for (const char byte : bytes) ids.push_back(3 + uint8_t(byte));
  return ids;
}

TEST_CASE("text stream: bytes wait until they are a character, and are U+FFFD if they never are") {
  const BytesTokenizer bytes;
  CHECK(stream(bytes, {'a'}, {'b', 0xc3, 0xa9, 'c'}) == Texts{"b", "", "\u00e9", "c", ""});
  CHECK(stream(bytes, {'a'}, {0xc3, 'b', 0xe4, 0xbd}) == Texts{"", "\uFFFDb", "", "", "\uFFFD"});
  CHECK(stream(bytes, {'a'}, {256}) == Texts{"", "\uFFFD"});
  CHECK(stream(bytes, {'a'}, {}) == Texts{""});
}

TEST_CASE("text stream: a character that the prompt began is the answer's") {
  const BytesTokenizer bytes;
  CHECK(stream(bytes, {'a', 0xc3}, {0xa9, 'b'}) == Texts{"\u00e9", "b", ""});
  CHECK(answer_text(bytes, {'a', 0xc3}, Ids{0xa9, 'b'}) == "\u00e9b");
}

TEST_CASE("text stream: an answer keeps its first space, which a text of its own would lose") {
  const BpeTokenizer tokenizer = llama();
  CHECK(tokenizer.decode(Ids{1, 2}) == "a");
  CHECK(answer_text(tokenizer, {1, 2}, Ids{1, 2}) == " a");
  CHECK(stream(tokenizer, {1, 2}, {1, 2}) == Texts{" ", "a", ""});
}

TEST_CASE("text stream: the bytes of a SentencePiece answer") {
  const BpeTokenizer tokenizer = llama();
  CHECK(stream(tokenizer, {2}, byte_ids("\u4f60")) == Texts{"", "", "\u4f60", ""});
  const Ids spoiled = byte_ids("\u00e9\xff");  // a run that is not valid as a whole is U+FFFD as a whole
  CHECK(answer_text(tokenizer, {2}, spoiled) == "\uFFFD\uFFFD\uFFFD");
  CHECK(stream(tokenizer, {2}, spoiled) == Texts{"", "\u00e9", "", "\uFFFD\uFFFD\uFFFD"});
}

// Counts the ids that it decodes.
struct CountingTokenizer : BytesTokenizer {
  mutable size_t decoded = 0;
  std::string decode(std::span<const int32_t> tokens) const override {
    decoded += tokens.size();
    return BytesTokenizer::decode(tokens);
  }
};

// Three characters, of which one takes as many tokens as it has bytes.
Ids long_answer(const Ids& a, const Ids& space, const Ids& bytes) {
  Ids answer;
  for (size_t i = 0; i < 3000; ++i) {
    const Ids& next = i % 7 == 3 ? space : i % 3 == 0 ? bytes : a;
    answer.insert(answer.end(), next.begin(), next.end());
  }
  return answer;
}

TEST_CASE("text stream: a long answer is shown whole, at a cost per token that does not grow") {
  const BpeTokenizer tokenizer = llama();
  for (const Ids& answer : {long_answer({2}, {1}, byte_ids("\u4f60")), long_answer(byte_ids("\u4f60"), {1, 1}, {2})}) {
    std::string text;
    for (const std::string& part : stream(tokenizer, {1, 2}, answer)) text += part;
    CHECK(text == answer_text(tokenizer, {1, 2}, answer));
  }
  const CountingTokenizer bytes;
  const Ids answer = long_answer({'a'}, {' '}, {0xe4, 0xbd, 0xa0});
  std::string text;
  for (const std::string& part : stream(bytes, {'a'}, answer)) text += part;
  CHECK(bytes.decoded < 100 * answer.size());
  CHECK(text == answer_text(bytes, {'a'}, answer));
}

}  // namespace
}  // namespace tandem
