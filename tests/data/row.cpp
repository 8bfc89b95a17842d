#include "core/data/row.h"

#include <doctest/doctest.h>

#include "core/data/bytes_tokenizer.h"
#include "core/data/row_encoder.h"
#include "tests/data/scratch.h"

namespace tandem {
namespace {

using Ranges = std::vector<ByteRange>;

TEST_CASE("row: text, text with targets, prompt and completion") {
  const Row text = parse_row(R"({"id": 3, "text": "h\u00e9"})", "x:1");
  CHECK(text.text == "h\xc3\xa9");
  CHECK(!text.targets);
  CHECK(text.end == RowEnd::target);
  const Row ranged = parse_row(R"({"text": "abcdef", "targets": [[0, 2], [2, 2], [4, 6]], "end": "masked"})", "x:1");
  CHECK(*ranged.targets == Ranges{{0, 2}, {4, 6}});
  CHECK(ranged.end == RowEnd::masked);
  CHECK(parse_row(R"({"text": "a", "targets": []})", "x:1").targets->empty());
  CHECK(!parse_row(R"({"text": "a", "targets": null})", "x:1").targets);
  const Row pair = parse_row(R"({"prompt": "\u00e9? ", "completion": "yes", "end": "none"})", "x:1");
  CHECK(pair.text == "\xc3\xa9? yes");
  CHECK(*pair.targets == Ranges{{4, 7}});
  CHECK(pair.end == RowEnd::none);
  CHECK(parse_row(R"({"prompt": "a", "completion": ""})", "x:1").targets->empty());
}

TEST_CASE("row: what is wrong is refused with its place") {
  for (const char* line : {R"({"text": 1})",
                           R"({"txt": "a"})",
                           R"(["text"])",
                           "{",
                           R"({"text": "a"} x)",
                           R"("text")",
                           R"({"prompt": "a"})",
                           R"({"prompt": "a", "completion": 1})",
                           R"({"text": "\ud800"})",
                           "{\"text\": \"\xff\"}",
                           R"({"text": "a", "text": "b"})",
                           R"({"text": "a", "prompt": "a", "completion": "b"})",
                           R"({"text": "a", "end": "no"})",
                           R"({"text": "a", "targets": 3})",
                           R"({"text": "a", "targets": [[0]]})",
                           R"({"text": "a", "targets": [[0, 2]]})",
                           R"({"text": "a", "targets": [[-1, 1]]})",
                           R"({"text": "ab", "targets": [[1, 0]]})",
                           R"({"text": "ab", "targets": [[0, 1.5]]})",
                           R"({"text": "ab", "targets": [[0, 2], [1, 2]]})",
                           R"({"prompt": "a", "completion": "b", "targets": [[0, 1]]})"}) {
    CAPTURE(std::string(line));
    CHECK(thrown(Exit::input, [&] { parse_row(line, "x.jsonl:7"); }).starts_with("[x.jsonl:7"));
  }
}

TEST_CASE("row: chats are for tools/tokenize") {
  for (const char* line :
       {R"({"messages": []})", R"({"text": "a", "messages": []})", R"({"conversations": []})",
        R"({"prompt": [{"role": "user"}], "completion": [{"role": "assistant"}]})", R"({"instruction": "a"})"})
    CHECK(thrown(Exit::configuration, [&] { parse_row(line, "x.jsonl:7"); }).find("tools/tokenize") !=
          std::string::npos);
}

// A tokenizer of pairs of bytes, so that a token may stand in a target with one of its bytes.
class Pairs : public BytesTokenizer {
 public:
  void encode(std::string_view text, const EncodeOptions& options, Encoding& out) const override {
    for (size_t i = 0; i < text.size(); i += 2) {
      out.ids.push_back(text[i]);
      if (options.ranges) out.ranges.push_back({i, std::min(i + 2, text.size())});
      out.special += options.special_tokens && text[i] == '<';
    }
  }
  size_t cut(std::string_view text, size_t from) const override { return std::min(from + from % 2, text.size()); }
};

struct Flat {
  std::vector<int32_t> tokens;
  std::string targets;  // "1" or "0" per token, "|" in front of a document
};

Flat flat(const EncodedRows& rows) {
  Flat f{rows.tokens, ""};
  for (const auto& run : rows.runs)
    f.targets += (run.begins ? "|" : "") + std::string(run.tokens, run.targets ? '1' : '0');
  return f;
}

TEST_CASE("row: a token is a target where it shares a byte with one") {
  const Pairs pairs;
  const RowEncoder encoder{.tokenizer = pairs, .end = 9};
  EncodedRows rows;
  encoder.encode({.text = "aabbccddee", .targets = Ranges{{1, 3}, {7, 8}}}, rows);
  encoder.encode({.text = "aabb", .targets = Ranges{{2, 4}}, .end = RowEnd::masked}, rows);
  encoder.encode({.text = "aa", .targets = {}, .end = RowEnd::none}, rows);
  encoder.encode({.text = "", .targets = {}, .end = RowEnd::none}, rows);
  encoder.encode({.text = "", .targets = Ranges{}}, rows);
  CHECK(flat(rows).tokens == std::vector<int32_t>{'a', 'b', 'c', 'd', 'e', 9, 'a', 'b', 9, 'a', 9});
  CHECK(flat(rows).targets == "|110101|010|1|1");
  CHECK(rows.empty == 1);
}

TEST_CASE("row: bos is a target where all of a document is; special tokens are counted per document") {
  const Pairs pairs;
  EncodedRows rows;
  RowEncoder encoder{.tokenizer = pairs, .end = 9, .bos = 8};
  encoder.encode({.text = "aa<<<<", .targets = {}}, rows);
  encoder.encode({.text = "aa", .targets = Ranges{{0, 2}}}, rows);
  CHECK(flat(rows).tokens == std::vector<int32_t>{8, 'a', '<', '<', 9, 8, 'a', 9});
  CHECK(flat(rows).targets == "|11111|011");
  CHECK(rows.special == 1);
  encoder.special_tokens = false;
  EncodedRows text;
  encoder.encode({.text = "<<", .targets = {}}, text);
  CHECK(text.special == 0);
}

TEST_CASE("row: a long document is encoded in parts, and its targets stay in place") {
  const Pairs pairs;
  const RowEncoder encoder{.tokenizer = pairs, .end = 9};
  constexpr size_t kSize = 5 << 20;
  EncodedRows rows;
  const Ranges targets = {{10, 12}, {(3 << 20) + 1, (3 << 20) + 3}, {kSize - 1, kSize}};
  encoder.encode({.text = std::string(kSize, 'x'), .targets = targets}, rows);
  const std::string marks = flat(rows).targets.substr(1);
  REQUIRE(marks.size() == kSize / 2 + 1);
  for (size_t i = 0; i < marks.size(); ++i)
    REQUIRE((marks[i] == '1') == (i == 5 || i == (3 << 19) || i == (3 << 19) + 1 || i + 2 >= marks.size()));
}

TEST_CASE("row: parts of a document are one document") {
  const Pairs pairs;
  const RowEncoder encoder{.tokenizer = pairs, .end = 9, .bos = 8};
  EncodedRows rows;
  encoder.encode_part("aabb", true, false, rows);
  encoder.encode_part("cc", false, false, rows);
  encoder.encode_part("", false, true, rows);
  CHECK(flat(rows).tokens == std::vector<int32_t>{8, 'a', 'b', 'c', 9});
  CHECK(flat(rows).targets == "|11111");
}

}  // namespace
}  // namespace tandem
