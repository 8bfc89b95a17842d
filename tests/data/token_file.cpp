#include "core/data/token_file.h"

#include <doctest/doctest.h>

#include "tests/data/scratch.h"

namespace tandem {
namespace {

// the content is refused with a message that names the file and contains the part
void check_refused(const std::string& content, const std::string& part) {
  const ScratchDirectory scratch;
  const std::string path = scratch.write("x.bin", content);
  const std::string message = thrown(Exit::input, [&] { TokenFile file(path); });
  INFO("message: ", message, " should contain: ", part);
  CHECK(message.starts_with("[" + path + "] "));
  CHECK(message.find(part) != std::string::npos);
}

std::string head(std::vector<int32_t> words) {
  return token_header(std::move(words));
}

TEST_CASE("token file: LLMQ version 2 with a mask") {
  const ScratchDirectory scratch;
  // bits of tokens 0, 1, 3, 8, 9: lowest bit first
  const TokenFile file(scratch.write("a.bin", llmq_v2({5, 6, 7, 8, 9, 10, 11, 12, 13, 14}, 99, "\x0b\x03")));
  CHECK(file.format() == TokenFormat::llmq_v2);
  CHECK(file.size() == 10);
  CHECK(file.vocabulary_size() == 99);
  CHECK(file.token(0) == 5);
  CHECK(file.token(9) == 14);
  for (uint64_t i = 0; i < 10; ++i) CHECK(file.valid_target(i) == (i == 0 || i == 1 || i == 3 || i == 8 || i == 9));
  CHECK(file.targets() == 4);  // token 0 has no input
}

TEST_CASE("token file: LLMQ version 1 ignores the words that version 2 added") {
  const ScratchDirectory scratch;
  const TokenFile file(scratch.write("a.bin", head({kMagic0, kMagic1, 1, 4, 3}) + bytes_of<int32_t>({1, 2, 70000})));
  CHECK(file.format() == TokenFormat::llmq_v1);
  CHECK(file.size() == 3);
  CHECK(file.vocabulary_size() == 0);
  CHECK(file.token(2) == 70000);
  CHECK(file.valid_target(2));
  CHECK(file.targets() == 2);
}

TEST_CASE("token file: llm.c") {
  const ScratchDirectory scratch;
  const TokenFile file(scratch.write("a.bin", head({20240520, 1, 3}) + bytes_of<uint16_t>({50256, 1, 65535})));
  CHECK(file.format() == TokenFormat::llm_c);
  CHECK(file.size() == 3);
  CHECK(file.token(0) == 50256);
  CHECK(file.token(2) == 65535);
  CHECK(file.targets() == 2);
}

TEST_CASE("token file: llm.c with 32-bit tokens") {
  const ScratchDirectory scratch;
  const TokenFile file(scratch.write("a.bin", head({20240801, 7, 3}) + bytes_of<uint32_t>({128000, 1, 0x7fffffff})));
  CHECK(name_of(file.format()) == "llm.c-u32");
  CHECK(file.size() == 3);
  CHECK(file.token(0) == 128000);
  CHECK(file.token(2) == 0x7fffffff);
}

TEST_CASE("token file: raw tokens, where they are asked for") {
  const ScratchDirectory scratch;
  const std::string narrow = scratch.write("a.bin", bytes_of<uint16_t>({1, 65535, 3})),
                    wide = scratch.write("b.bin", bytes_of<uint32_t>({1, 151936}));
  const TokenFile a(narrow, RawFormat::u16), b(wide, RawFormat::u32);
  CHECK(name_of(a.format()) == "u16");
  CHECK(a.size() == 3);
  CHECK(a.token(1) == 65535);
  CHECK(name_of(b.format()) == "u32");
  CHECK(b.size() == 2);
  CHECK(b.token(1) == 151936);
  CHECK(TokenFile(scratch.write("c.bin", ""), RawFormat::u16).size() == 0);
  CHECK(thrown(Exit::input, [&] { TokenFile file(narrow); }).find("--format") != std::string::npos);
  CHECK(thrown(Exit::input, [&] {
          TokenFile file(narrow, RawFormat::u32);
        }).find("6 bytes, expected a multiple of 4") != std::string::npos);
}

TEST_CASE("token file: a raw format for a file with a known header is refused") {
  const ScratchDirectory scratch;
  for (const std::string& content :
       {llmq_v2({1, 2, 3}), head({20240520, 1, 2}) + bytes_of<uint16_t>({1, 2}),
        head({20240801, 7, 1}) + bytes_of<uint32_t>({1}), std::string("MMIDIDX\0\0\1\0\0", 12)}) {
    const std::string path = scratch.write("a.bin", content);
    CHECK(thrown(Exit::configuration, [&] { TokenFile file(path, RawFormat::u16); }).find("has a header") !=
          std::string::npos);
  }
}

TEST_CASE("token file: an unknown header says what else it may be") {
  check_refused(head({20240522, 1, 3}), "evaluation file");
  const ScratchDirectory scratch;
  const std::string path = scratch.write("x.bin", std::string(2000, 'x'));
  scratch.write("x.idx", "");
  CHECK(thrown(Exit::input, [&] { TokenFile file(path); }).find("name " + scratch.path("x.idx")) != std::string::npos);
}

TEST_CASE("token file: damaged headers and sizes are refused with their offset") {
  const std::string tokens = bytes_of<int32_t>({1, 2, 3});
  check_refused("", "offset 0: ends inside the header");
  check_refused("BIN.TOK\n", "offset 8: ends inside the header");
  check_refused(std::string(1024, 'x'), "offset 0: unknown magic");
  check_refused(head({kMagic0, kMagic1, 3, 4, 3, 9, 0}) + tokens, "offset 8: the version is 3, expected 1 or 2");
  check_refused(head({kMagic0, kMagic1, 2, 2, 3, 9, 0}) + tokens, "offset 12: the size of a token in bytes is 2");
  check_refused(head({kMagic0, kMagic1, 2, 4, -3, 9, 0}) + tokens, "offset 16: the token count is -3");
  check_refused(head({kMagic0, kMagic1, 2, 4, 3, 9, 7}) + tokens, "offset 24: the mask flag is 7");
  check_refused(head({kMagic0, kMagic1, 2, 4, 4, 9, 0}) + tokens, "offset 1036: truncated");
  check_refused(head({kMagic0, kMagic1, 2, 4, 3, 9, 1}) + tokens, "offset 1036: truncated");
  check_refused(head({kMagic0, kMagic1, 2, 4, 2, 9, 0}) + tokens, "offset 1032: 4 more bytes");
  check_refused(head({kMagic0, kMagic1, 2, 4, 0x7fffffff, 9, 0}) + tokens, "truncated");
  check_refused(head({20240520, 2, 3}) + bytes_of<uint16_t>({1, 2, 3}), "offset 4: the version is 2");
  check_refused(head({20240520, 1, 3}) + bytes_of<uint16_t>({1, 2}), "offset 1028: truncated");
  check_refused(llmq_v2({1, -2, 3}), "offset 1028: token 1 is -2");
  check_refused(head({20240801, 1, 3}) + tokens, "offset 4: the version is 1, expected 7");
  check_refused(head({20240801, 7, 4}) + tokens, "offset 1036: truncated");
  check_refused(head({20240801, 7, 1}) + bytes_of<uint32_t>({0x80000000}), "offset 1024: token 0 is 2147483648");
}

TEST_CASE("token file: a file that is not there") {
  CHECK(thrown(Exit::input, [] { TokenFile file("/nonexistent/x.bin"); }).starts_with("[/nonexistent/x.bin]"));
}

TEST_CASE("token file: the first token outside the model's vocabulary") {
  const ScratchDirectory scratch;
  const TokenFile wide(scratch.write("a.bin", llmq_v2({0, 256, 257, 9, 300}, 257)));
  CHECK(thrown(Exit::input, [&] { wide.check_vocabulary(301); }).empty());
  CHECK(thrown(Exit::input, [&] { wide.check_vocabulary(257); }).find("offset 1032: token 2 is 257") !=
        std::string::npos);
  const TokenFile narrow(scratch.write("b.bin", head({20240520, 1, 2}) + bytes_of<uint16_t>({1, 500})));
  CHECK(thrown(Exit::input, [&] { narrow.check_vocabulary(500); }).find("offset 1026: token 1 is 500") !=
        std::string::npos);
  CHECK(thrown(Exit::input, [&] { open_token_files({wide.path()}, 300); }).find("token 4 is 300") != std::string::npos);
}

}  // namespace
}  // namespace tandem
