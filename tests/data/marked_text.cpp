#include "core/data/marked_text.h"

#include <doctest/doctest.h>

#include "core/data/bytes_tokenizer.h"
#include "tests/data/scratch.h"

namespace tandem {
namespace {

// The runs' texts, targets in brackets.
std::string marked(const TokenFile& file, const MarkedTokens& tokens) {
  const BytesTokenizer tokenizer;
  std::string text;
  for_each_run(file, tokens, &tokenizer,
               [&](const MarkedRun& run) { text += run.target ? "[" + run.text + "]" : run.text; });
  return text;
}

std::vector<int32_t> bytes(std::string_view text) {
  std::vector<int32_t> tokens;
  for (const char c : text) tokens.push_back(static_cast<unsigned char>(c));
  return tokens;
}

TEST_CASE("marked text: runs of targets, and what a first token is") {
  const ScratchDirectory scratch;
  const TokenFile file(scratch.write("a.bin", llmq_v2(bytes("question answer"), 257, std::string("\x01\x7f", 2))));
  CHECK(marked(file, {0, 15}) == "question[ answer]");  // token 0 has no input
  CHECK(marked(file, {9, 6}) == "[answer]");
  CHECK(marked(file, {9, 6, false}) == "a[nswer]");
  CHECK(MarkedTokens{0, 15}.targets(file) == 7);
  CHECK(MarkedTokens{9, 6}.targets(file) == 6);
  CHECK(MarkedTokens{9, 6, false}.targets(file) == 5);
  CHECK(MarkedTokens{9, 0}.targets(file) == 0);
  std::vector<int32_t> ids;
  for_each_run(file, {8, 3}, nullptr, [&](const MarkedRun& run) {
    CHECK(run.text == "");
    ids.insert(ids.end(), run.ids.begin(), run.ids.end());
  });
  CHECK(ids == bytes(" an"));
}

TEST_CASE("marked text: a character of two runs is whole in the second") {
  const ScratchDirectory scratch;
  const TokenFile file(scratch.write("a.bin", llmq_v2(bytes("a\xc3\xa9z\xc3\xa8"), 257, "\x1c")));
  CHECK(marked(file, {0, 6}) == "a\uFFFD[\u00e9z\uFFFD]\u00e8");
}

TEST_CASE("marked text: long runs come in parts, with the whole text") {
  const ScratchDirectory scratch;
  std::string text;
  while (text.size() < 200000) text += "\u00e9x";
  const TokenFile file(scratch.write("a.bin", llmq_v2(bytes(text))));
  const BytesTokenizer tokenizer;
  size_t runs = 0, tokens = 0;
  for_each_run(file, {0, file.size()}, &tokenizer, [&](const MarkedRun& run) {
    ++runs;
    tokens += run.ids.size();
  });
  CHECK(runs > 3);
  CHECK(tokens == text.size());
}

TEST_CASE("marked text: no control character is left but line ends and tabs") {
  CHECK(without_controls("a\n\tb\x1b[31m\x07\x7f\r\u009b\u00e9") == "a\n\tb\\x1b[31m\\x07\\x7f\\x0d\\x9b\u00e9");
  CHECK(without_controls(std::string_view("\0", 1)) == "\\x00");
}

}  // namespace
}  // namespace tandem
