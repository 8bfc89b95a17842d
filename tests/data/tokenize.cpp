#include "core/data/tokenize.h"

#include <doctest/doctest.h>

#include "core/data/token_file.h"
#include "tests/data/scratch.h"

namespace tandem {
namespace {

TokenizeOptions bytes(std::vector<std::string> inputs, std::string out) {
  return {.tokenizer = "bytes", .inputs = std::move(inputs), .out = std::move(out)};
}

std::vector<int32_t> tokens_of(const TokenFile& file) {
  std::vector<int32_t> tokens;
  for (uint64_t i = 0; i < file.size(); ++i) tokens.push_back(file.token(i));
  return tokens;
}
using Tokens = std::vector<int32_t>;

TEST_CASE("tokenize: a .txt is one document, a .jsonl one per line") {
  const ScratchDirectory scratch;
  const std::string out = scratch.path("out.bin");
  const std::string txt = scratch.write("a.txt", "hi\r\n"),
                    jsonl = scratch.write("b.jsonl",
                                          "\xEF\xBB\xBF{\"id\": 1, \"text\": \"\\u00e9\"}\n\n{\"text\": \"\"}\r\n");
  const TokenizeResult result = tokenize(bytes({txt, jsonl}, out));
  const TokenFile file(out);
  CHECK(tokens_of(file) == Tokens{'h', 'i', '\r', '\n', 256, 0xc3, 0xa9, 256, 256});
  CHECK(file.vocabulary_size() == 257);
  CHECK(!file.has_mask());
  REQUIRE(file.documents().count() == 3);
  CHECK(file.documents().start(1) == 5);
  CHECK(file.documents().start(2) == 8);
  CHECK(describe(result) == out + ": 9 tokens of 3 documents, 8 targets (88.9%)\n");
}

TEST_CASE("tokenize: rows with targets make a mask") {
  const ScratchDirectory scratch;
  const std::string out = scratch.path("out.bin"),
                    jsonl =
                        scratch.write("b.jsonl",
                                      "{\"text\": \"abc\"}\n{\"text\": \"abc\", \"targets\": [[1, 2]]}\n"
                                      "{\"prompt\": \"ab\", \"completion\": \"c\", \"end\": \"masked\"}\n"
                                      "{\"text\": \"\", \"end\": \"none\"}\n{\"text\": \"d\", \"end\": \"none\"}\n");
  const TokenizeResult result = tokenize(bytes({jsonl}, out));
  const TokenFile file(out);
  CHECK(tokens_of(file) == Tokens{'a', 'b', 'c', 256, 'a', 'b', 'c', 256, 'a', 'b', 'c', 256, 'd'});
  std::string targets;
  for (uint64_t i = 0; i < file.size(); ++i) targets += file.valid_target(i) ? '1' : '0';
  CHECK(targets == "1111010100101");
  CHECK(file.documents().count() == 4);
  CHECK(describe(result).ends_with("1 documents without a token are left out\n"));
  scratch.write("b.jsonl", "{\"text\": \"abc\", \"targets\": [[0, 3]]}\n");
  tokenize(bytes({jsonl}, out));
  CHECK(TokenFile(out).has_mask());  // a line has ranges
}

TEST_CASE("tokenize: what is wrong is named with its line, and no file is left") {
  const ScratchDirectory scratch;
  const std::string out = scratch.path("out.bin");
  for (const char* line : {"{\"text\": 1}", "{\"text\": \"\\ud800\"}", "{\"text\": \"\xff\"}"}) {
    const std::string path = scratch.write("b.jsonl", std::string("{\"text\": \"a\"}\n") + line + "\n");
    CHECK(thrown(Exit::input, [&] { tokenize(bytes({path}, out)); }).starts_with("[" + path + ":2"));
  }
  scratch.write("b.jsonl", "\n");
  CHECK(thrown(Exit::input, [&] { tokenize(bytes({scratch.path("b.jsonl")}, out)); }).find("holds no document") !=
        std::string::npos);
  CHECK(!thrown(Exit::input, [&] { tokenize(bytes({scratch.path("none.txt")}, out)); }).empty());
  CHECK(!thrown(Exit::input, [&] { tokenize(bytes({scratch.path(".txt")}, out)); }).empty());
  CHECK(!thrown(Exit::configuration, [&] { tokenize(bytes({scratch.write("a.csv", "")}, out)); }).empty());
  CHECK(!thrown(Exit::configuration, [&] { tokenize(bytes({"-", "-"}, out)); }).empty());
  for (const auto& entry : std::filesystem::directory_iterator(scratch.path("")))
    CHECK(entry.path().string().find("out") == std::string::npos);
}

TEST_CASE("tokenize: an output that is one of the inputs is refused") {
  const ScratchDirectory scratch;
  const std::string path = scratch.write("a.txt", "A"), same = scratch.path("./a.txt");
  CHECK(thrown(Exit::configuration, [&] { tokenize(bytes({path}, same)); }).starts_with("[--out]"));
  CHECK(read_text(path) == "A");
}

// {"text": "ab"} and {"text": "c"}, each a member or frame of its own, by Python's gzip and the command zstd
const std::string kGz(
    "\x1f\x8b\x08\x00\x00\x00\x00\x00\x02\x03\xab\x56\x2a\x49\xad\x28\x51\xb2\x52\x50\x4a\x4c\x52\xaa\xe5\x02\x00\xf1"
    "\x3d\xad\x1b\x0f\x00\x00\x00\x1f\x8b\x08\x00\x00\x00\x00\x00\x02\x03\xab\x56\x2a\x49\xad\x28\x51\xb2\x52\x50\x4a"
    "\x56\xaa\xe5\x02\x00\x36\x1a\x23\x8a\x0e\x00\x00\x00",
    69);
const std::string kZst(
    "\x28\xb5\x2f\xfd\x04\x58\x79\x00\x00\x7b\x22\x74\x65\x78\x74\x22\x3a\x20\x22\x61\x62\x22\x7d\x0a\xed\x84\x14\x89"
    "\x28\xb5\x2f\xfd\x04\x58\x71\x00\x00\x7b\x22\x74\x65\x78\x74\x22\x3a\x20\x22\x63\x22\x7d\x0a\xec\x9b\xa2\xe5",
    55);

void check_packed(const std::string& ending, const std::string& content, size_t first_part) {
  const ScratchDirectory scratch;
  const std::string path = scratch.write("a.jsonl" + ending, content), out = scratch.path("out.bin");
  const std::string refused = thrown(Exit::configuration, [&] { tokenize(bytes({path}, out)); });
  if (!refused.empty()) {  // built without the library
    CHECK(refused.find("this build has no") != std::string::npos);
    return;
  }
  CHECK(tokens_of(TokenFile(out)) == Tokens{'a', 'b', 256, 'c', 256});
  for (size_t size = 0; size < content.size(); ++size) {
    scratch.write("a.jsonl" + ending, content.substr(0, size));
    if (size == first_part) continue;  // a whole member or frame
    const std::string message = thrown(Exit::input, [&] { tokenize(bytes({path}, out)); });
    CAPTURE(size);
    REQUIRE(message.find("it was cut") != std::string::npos);
  }
  scratch.write("a.jsonl" + ending, content + "x");
  CHECK(thrown(Exit::input, [&] { tokenize(bytes({path}, out)); }).starts_with("[" + path + "] offset "));
  scratch.write("a.jsonl" + ending, "{\"text\": \"plain text\"}\n");
  CHECK(thrown(Exit::input, [&] { tokenize(bytes({path}, out)); }).find("cannot be unpacked") != std::string::npos);
}

TEST_CASE("tokenize: .gz of several members; a cut or damaged one is refused") {
  check_packed(".gz", kGz, 35);
}

TEST_CASE("tokenize: .zst of several frames; a cut or damaged one is refused") {
  check_packed(".zst", kZst, 28);
}

// Documents of growing lengths, some with targets, more than several chunks hold.
std::string many_rows() {
  std::string rows;
  for (int i = 0; i < 30000; ++i) {
    const std::string text(size_t(i % 300), char('a' + i % 26));
    rows += i % 3 == 0 && i % 300 > 4 ? fmt::format("{{\"text\": \"{}\", \"targets\": [[1, 3]]}}\n", text)
                                      : fmt::format("{{\"text\": \"{}\"}}\n", text);
  }
  return rows;
}

TEST_CASE("tokenize: threads change no byte") {
  const ScratchDirectory scratch;
  const std::string path = scratch.write("a.jsonl", many_rows());
  std::string expected;
  for (const unsigned threads : {1u, 2u, 5u}) {
    TokenizeOptions options = bytes({path}, scratch.path("out.bin"));
    options.threads = threads;
    tokenize(options);
    const std::string content = read_text(options.out);
    if (threads == 1) expected = content;
    CHECK(content == expected);
  }
  CHECK(TokenFile(scratch.path("out.bin")).documents().count() == 30000);
}

TEST_CASE("tokenize: shards start at documents, and together hold what one file holds") {
  const ScratchDirectory scratch;
  const std::string path = scratch.write("a.jsonl", many_rows());
  tokenize(bytes({path}, scratch.path("one.bin")));
  TokenizeOptions options = bytes({path}, scratch.path("many.bin"));
  options.shard_tokens = 1000000;
  const TokenizeResult result = tokenize(options);
  REQUIRE(result.files.size() == 5);
  const TokenFile one(scratch.path("one.bin"));
  uint64_t token = 0, document = 0;
  for (size_t f = 0; f < result.files.size(); ++f) {
    CHECK(result.files[f].path == scratch.path(fmt::format("many-{:05}.bin", f)));
    const TokenFile shard(result.files[f].path);
    if (f + 1 < result.files.size()) CHECK(shard.size() >= 1000000);
    CHECK(shard.size() < 1000301);
    for (uint64_t d = 0; d < shard.documents().count(); ++d)
      REQUIRE(one.documents().start(document + d) == token + shard.documents().start(d));
    for (uint64_t i = 0; i < shard.size(); ++i) {
      REQUIRE(shard.token(i) == one.token(token + i));
      REQUIRE(shard.valid_target(i) == one.valid_target(token + i));
    }
    token += shard.size();
    document += shard.documents().count();
  }
  CHECK(token == one.size());
  CHECK(document == one.documents().count());
  CHECK(thrown(Exit::configuration, [&] { tokenize(options); }).find("many-00000.bin is there already") !=
        std::string::npos);
  std::filesystem::remove(scratch.path("many-00000.bin"));
  CHECK(thrown(Exit::configuration, [&] { tokenize(options); }).find("many-00001.bin is there already") !=
        std::string::npos);
  CHECK(!file_exists(scratch.path("many-00000.bin")));
}

TEST_CASE("tokenize: a .txt of many chunks is one document") {
  const ScratchDirectory scratch;
  std::string text;
  for (int i = 0; text.size() < (7 << 20); ++i) text += fmt::format("line {}\xff\n", i);
  tokenize(bytes({scratch.write("a.txt", text)}, scratch.path("out.bin")));
  const TokenFile file(scratch.path("out.bin"));
  REQUIRE(file.size() == text.size() + 1);
  for (size_t i = 0; i < text.size(); ++i) REQUIRE(file.token(i) == static_cast<unsigned char>(text[i]));
  CHECK(file.documents().count() == 1);
}

TEST_CASE("tokenize: a directory's tokenizer and end token") {
  const ScratchDirectory scratch;
  TokenizeOptions options = bytes({scratch.write("a.txt", "A")}, scratch.path("out.bin"));
  options.tokenizer = scratch.path("");
  const auto attempt = [&] { return thrown(Exit::configuration, [&] { tokenize(options); }); };
  CHECK(attempt().find("neither \"bytes\" nor a directory with a tokenizer.json") != std::string::npos);
  scratch.write("config.json", "{");
  CHECK(attempt().find("config.json") != std::string::npos);
  scratch.write("config.json", "{\"vocab_size\": 256}");
  CHECK(attempt().find("has no tokenizer") != std::string::npos);
  scratch.write("tokenizer.model", "");
  CHECK(attempt().find("tokenizer.model") != std::string::npos);
  std::filesystem::remove(scratch.path("tokenizer.model"));
  scratch.write("config.json", "{\"vocab_size\": 257}");
  CHECK(attempt() == "");
  options.end = "<|end|>";
  CHECK(attempt() == "");
  options.end = "<|none|>";
  CHECK(attempt().starts_with("[--end] <|none|> is not a token"));
  options.end.reset();
  options.bos = true;
  CHECK(attempt().starts_with("[--bos]"));
  options.bos = false;
  scratch.write("tokenizer.json", "{\"model\": {\"type\": \"Unigram\"}}");
  CHECK(attempt() != "");
}

TEST_CASE("tokenize: prompts to ids and back") {
  const TokenizeOptions options{.tokenizer = "bytes", .inputs = {}, .out = {}};
  CHECK(tokenize_prompt(options, "h\xc3\xa9") == Tokens{'h', 0xc3, 0xa9});
  CHECK(decode_tokens(options, {'h', 0xc3, 0xa9}) == "h\xc3\xa9");
}

}  // namespace
}  // namespace tandem
