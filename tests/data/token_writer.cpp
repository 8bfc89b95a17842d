#include "core/data/token_writer.h"

#include <doctest/doctest.h>
#include <sys/mman.h>

#include "core/data/token_file.h"
#include "tests/data/scratch.h"

namespace tandem {
namespace {

std::vector<uint64_t> starts_of(const Documents& documents) {
  std::vector<uint64_t> starts;
  for (uint64_t d = 0; d <= documents.count(); ++d) starts.push_back(documents.start(d));
  return starts;
}

// expected: the layout of docs/formats.md, byte by byte
TEST_CASE("token writer: header, tokens, mask, zeros and document starts") {
  const ScratchDirectory scratch;
  TokenWriter writer(scratch.path("a.bin"), 257);
  writer.begin_document();
  writer.append(std::vector<int32_t>{1, 2, 3});
  writer.append(std::vector<int32_t>{4, 5}, false);
  writer.begin_document();
  writer.begin_document();  // the one before holds nothing
  writer.append(std::vector<int32_t>{6, 7, 8, 256});
  writer.finish();
  CHECK(!file_exists(scratch.path("a.bin")));
  writer.publish();
  std::vector<int32_t> header = {kMagic0, kMagic1, 2, 4, 9, 257, 1, 0, 0x2e434f44, 0x0a474542, 2};
  header.resize(256);
  CHECK(read_text(scratch.path("a.bin")) == bytes_of(header) + bytes_of<int32_t>({1, 2, 3, 4, 5, 6, 7, 8, 256}) +
                                                std::string("\xe7\x01\0\0", 4) + bytes_of<uint32_t>({0, 5, 9}));
  CHECK(writer.documents() == 2);
  CHECK(writer.targets() == 6);
  const TokenFile file(scratch.path("a.bin"));
  CHECK(file.targets() == 6);
  CHECK(starts_of(file.documents()) == std::vector<uint64_t>{0, 5, 9});
}

TEST_CASE("token writer: a file whose tokens all count has no mask, unless it is wanted") {
  const ScratchDirectory scratch;
  for (const bool wanted : {false, true}) {
    TokenWriter writer(scratch.path("a.bin"), 257);
    writer.append(std::vector<int32_t>{1, 2, 3});
    if (wanted) writer.want_mask();
    writer.finish();
    writer.publish();
    const TokenFile file(scratch.path("a.bin"));
    CHECK(file.has_mask() == wanted);
    CHECK(file.targets() == 2);
    CHECK(starts_of(file.documents()) == std::vector<uint64_t>{0, 3});
  }
}

TEST_CASE("token writer: what waits on the disk comes back whole") {
  const ScratchDirectory scratch;
  TokenWriter writer(scratch.path("a.bin"), 300);
  constexpr int32_t kDocuments = 600000;  // 3 tokens each: more of each part than a buffer holds
  for (int32_t d = 0; d < kDocuments; ++d) {
    writer.begin_document();
    writer.append(std::vector<int32_t>{d % 300}, false);
    writer.append(std::vector<int32_t>{d % 7, 9});
  }
  writer.finish();
  writer.publish();
  const TokenFile file(scratch.path("a.bin"));
  REQUIRE(file.size() == 3 * kDocuments);
  REQUIRE(file.documents().count() == kDocuments);
  CHECK(file.targets() == 2 * kDocuments);
  for (int32_t d = 0; d < kDocuments; ++d) {
    const uint64_t first = file.documents().start(uint64_t(d));
    REQUIRE(first == 3 * uint64_t(d));
    REQUIRE(file.token(first) == d % 300);
    REQUIRE(file.token(first + 1) == d % 7);
    REQUIRE(!file.valid_target(first));
    REQUIRE(file.valid_target(first + 2));
  }
}

TEST_CASE("token writer: a count that the header cannot hold is refused before anything is read") {
  const ScratchDirectory scratch;
  constexpr size_t kCount = size_t{1} << 31;  // one too many; pages that nobody touches
  void* pages = mmap(nullptr, kCount * 4, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  REQUIRE(pages != MAP_FAILED);
  const std::span<const int32_t> tokens(static_cast<const int32_t*>(pages), kCount);
  TokenWriter writer(scratch.path("a.bin"), 257);
  CHECK(thrown(Exit::input, [&] { writer.append(tokens); }).find("--shard-tokens") != std::string::npos);
  writer.append(tokens.first(1));
  CHECK(thrown(Exit::input, [&] { writer.append(tokens.first(kCount - 1)); }).find("2147483647") != std::string::npos);
  REQUIRE(munmap(pages, kCount * 4) == 0);
}

TEST_CASE("token writer: nothing is left of a file that was not published") {
  const ScratchDirectory scratch;
  { TokenWriter(scratch.path("a.bin"), 257).append(std::vector<int32_t>{1}); }
  {
    TokenWriter writer(scratch.path("a.bin"), 257);
    writer.append(std::vector<int32_t>{1});
    writer.finish();
  }
  CHECK(std::filesystem::is_empty(scratch.path("")));
  CHECK(!thrown(Exit::storage, [&] { TokenWriter(scratch.path("no/a.bin"), 257); }).empty());
}

}  // namespace
}  // namespace tandem
