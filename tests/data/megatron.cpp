// Megatron's pairs of files, made by hand; tools/test --full reads one that megatron-core wrote.
#include <doctest/doctest.h>

#include "core/data/token_file.h"
#include "tests/data/scratch.h"

namespace tandem {
namespace {

struct Index {
  std::vector<int32_t> lengths;
  std::vector<int64_t> offsets, documents;
  uint8_t dtype = 8;
  uint64_t version = 1;

  std::string bytes() const {
    return std::string("MMIDIDX\0\0", 9) + bytes_of<uint64_t>({version}) + char(dtype) +
           bytes_of<uint64_t>({lengths.size(), documents.size()}) + bytes_of(lengths) + bytes_of(offsets) +
           bytes_of(documents);
  }
};

// Sequences 1 2 3 | 4 | 5 6, the last two one document.
const Index kGood{{3, 1, 2}, {0, 6, 8}, {0, 1, 3}};
const std::string kTokens = bytes_of<uint16_t>({1, 2, 65535, 4, 5, 6});

std::string refusal(const std::string& index, const std::string& tokens = kTokens) {
  const ScratchDirectory scratch;
  scratch.write("a.bin", tokens);
  const std::string path = scratch.write("a.idx", index);
  return thrown(Exit::input, [&] { TokenFile file(path); });
}

void check_refused(const Index& index, const std::string& part) {
  const std::string message = refusal(index.bytes());
  INFO("message: ", message, " should contain: ", part);
  CHECK(message.find(part) != std::string::npos);
}

TEST_CASE("megatron: an index brings the tokens beside it, and says where documents start") {
  const ScratchDirectory scratch;
  scratch.write("a.bin", kTokens);
  const TokenFile file(scratch.write("a.idx", kGood.bytes()));
  CHECK(file.path() == scratch.path("a.bin"));
  CHECK(name_of(file.format()) == "megatron");
  CHECK(file.size() == 6);
  CHECK(file.token(2) == 65535);
  CHECK(file.documents().count() == 2);
  CHECK(file.documents().start(1) == 3);
  CHECK(file.documents().start(2) == 6);
  CHECK(parts_of(scratch.path("a.idx"), RawFormat::none) ==
        std::vector<std::string>{scratch.path("a.idx"), scratch.path("a.bin")});

  scratch.write("b.bin", bytes_of<int32_t>({70000, 2}));
  const TokenFile wide(scratch.write("b.idx", Index{{2}, {0}, {0, 1}, 4}.bytes()));
  CHECK(wide.token(0) == 70000);
  CHECK(wide.documents().count() == 1);
}

TEST_CASE("megatron: documents and sequences without tokens are left out") {
  const ScratchDirectory scratch;
  scratch.write("a.bin", kTokens);
  const TokenFile file(scratch.write("a.idx", Index{{3, 0, 3, 0}, {0, 6, 6, 12}, {0, 1, 2, 2, 3, 4}}.bytes()));
  CHECK(file.documents().count() == 2);
  CHECK(file.documents().start(1) == 3);
  CHECK(file.documents().start(2) == 6);
}

TEST_CASE("megatron: what disagrees is refused with its offset") {
  CHECK(refusal(kGood.bytes()) == "");
  check_refused({{3, 1, 2}, {0, 6, 8}, {0, 1, 3}, 8, 2}, "offset 9: the version is 2");
  check_refused({{3, 1, 2}, {0, 6, 8}, {0, 1, 3}, 5}, "offset 17: the dtype is 5, expected 4 (int32) or 8 (uint16)");
  check_refused({{3, 1, -2}, {0, 6, 8}, {0, 1, 3}}, "offset 42: the length of a sequence is -2");
  check_refused({{3, 1, 2}, {0, 6, 9}, {0, 1, 3}}, "offset 62: the byte offset of sequence 2 is 9, expected 8");
  check_refused({{3, 1, 2}, {0, 6, 8}, {1, 1, 3}}, "offset 70: the first document's first sequence is 1, expected 0");
  check_refused({{3, 1, 2}, {0, 6, 8}, {0, 2, 1}}, "offset 86: a document's first sequence is 1, expected 3 to 3");
  check_refused({{3, 1, 2}, {0, 6, 8}, {0, 4, 3}}, "offset 78: a document's first sequence is 4, expected 0 to 3");
  check_refused({{3, 1, 2}, {0, 6, 8}, {0, 1, 2}}, "offset 86: a document's first sequence is 2, expected 3 to 3");
  check_refused({{3, 1, 2}, {0, 6, 8}, {}}, "offset 26: the number of document entries is 0");
  const std::string good = kGood.bytes();
  for (size_t size = 9; size < good.size(); ++size) REQUIRE(!refusal(good.substr(0, size)).empty());
  CHECK(refusal(good + '\0').find("offset 18") != std::string::npos);
  std::string huge = good;
  huge.replace(18, 8, bytes_of<uint64_t>({~uint64_t(0) / 12}));
  CHECK(refusal(huge).find("offset 18") != std::string::npos);
  CHECK(refusal(good, kTokens.substr(0, 10)).find("offset 10: holds 10 bytes, expected 12") != std::string::npos);
  CHECK(refusal(good, kTokens + "xx").find("offset 12: holds 14 bytes") != std::string::npos);
  CHECK(refusal(Index{{1}, {0}, {0, 1}, 4}.bytes(), bytes_of<int32_t>({-1})).find("token 0 is -1") !=
        std::string::npos);
}

TEST_CASE("megatron: an index under another name, or without its tokens") {
  const ScratchDirectory scratch;
  const std::string path = scratch.write("a.bin", kGood.bytes());
  CHECK(thrown(Exit::input, [&] { TokenFile file(path); }).find("expected NAME.idx") != std::string::npos);
  scratch.write("b.idx", kGood.bytes());
  CHECK(thrown(Exit::input, [&] { TokenFile file(scratch.path("b.idx")); }).find("b.bin") != std::string::npos);
}

}  // namespace
}  // namespace tandem
