#include "core/data/documents.h"

#include <doctest/doctest.h>

#include <random>

#include "core/base/hash.h"

#include "core/data/document_end.h"
#include "tests/data/scratch.h"
#include "tests/fuzz/memory_file.h"

namespace tandem {
namespace {

std::string refusal_of(const std::string& content) {
  const ScratchDirectory scratch;
  const std::string path = scratch.write("x.bin", content);
  return thrown(Exit::input, [&] { TokenFile file(path); });
}

void check_refused(const std::string& content, const std::string& part) {
  const std::string message = refusal_of(content);
  INFO("message: ", message, " should contain: ", part);
  CHECK(message.find(part) != std::string::npos);
}

std::vector<uint64_t> starts_of(const Documents& documents) {
  std::vector<uint64_t> starts;
  for (uint64_t d = 0; d <= documents.count(); ++d) starts.push_back(documents.start(d));
  return starts;
}
using Starts = std::vector<uint64_t>;

TEST_CASE("documents: a version 2 file says where they start, behind a mask too") {
  const ScratchDirectory scratch;
  const std::string plain = llmq_v2({5, 6, 7, 8, 9}), masked = llmq_v2({5, 6, 7, 8, 9}, 300, "\x1b");
  for (const std::string& content : {plain, masked}) {
    const TokenFile file(scratch.write("a.bin", with_documents(content, {0, 2, 3})));
    CHECK(file.documents().count() == 3);
    CHECK(starts_of(file.documents()) == Starts{0, 2, 3, 5});
    CHECK(file.documents().longest() == 2);
    for (uint64_t i = 0; i < 5; ++i) CHECK(file.documents().holding(i) == (i < 2 ? 0 : i < 3 ? 1 : 2));
    CHECK(!TokenFile(scratch.write("b.bin", content)).documents().known());
  }
  CHECK(TokenFile(scratch.path("a.bin")).targets() == 3);
}

TEST_CASE("documents: only version 2 has them") {
  const ScratchDirectory scratch;
  std::string v1 = llmq_v2({5, 6, 7});
  v1[8] = 1;
  v1.replace(32, 8, "DOC.BEG\n");
  CHECK(!TokenFile(scratch.write("a.bin", v1)).documents().known());
}

TEST_CASE("documents: the hash is that of the starts as u64") {
  const Starts starts = {0, 2, 3, 5};
  Starts many(10001);
  for (size_t i = 0; i < many.size(); ++i) many[i] = 3 * i;
  for (const Starts& s : {starts, many})
    CHECK(fmt::format("{:016x}", Documents(s).hash()) == xxh3(std::as_bytes(std::span(s))));
  const std::vector<uint32_t> mapped = {0, 2, 3, 5};
  CHECK(Documents(std::span<const uint32_t>(mapped)).hash() == Documents(starts).hash());
}

TEST_CASE("documents: a damaged section is refused with its offset") {
  const std::string tokens = llmq_v2({5, 6, 7, 8, 9}), good = with_documents(tokens, {0, 2, 3});
  CHECK(refusal_of(good) == "");
  check_refused(with_documents(tokens, {}), "offset 40: the number of documents is 0, expected 1 to 5");
  check_refused(with_documents(tokens, {0, 1, 2, 3, 4, 5}), "offset 40: the number of documents is 6");
  check_refused(with_documents(tokens, {1, 2}), "offset 1044: document 0 starts at token 1, expected 0");
  check_refused(with_documents(tokens, {0, 2, 2}), "offset 1052: document 2 starts at token 2, expected one above 2");
  check_refused(with_documents(tokens, {0, 5}), "offset 1052: document 2 starts at token 5");
  check_refused(with_documents(tokens, {0, 6}), "offset 1052: document 2 starts at token 5");
  check_refused(good.substr(0, good.size() - 1), "offset 1059: truncated");
  check_refused(good + '\0', "offset 1060: 1 more bytes");
  std::string wrong_end = good;
  wrong_end[1056] = 4;
  check_refused(wrong_end, "offset 1056: document 3 starts at token 4, expected 5, the end of the tokens");
  std::string padded = with_documents(llmq_v2({5, 6, 7, 8, 9}, 300, "\x1b"), {0, 2, 3});
  padded[1046] = 1;
  check_refused(padded, "offset 1046: expected a zero");
}

TEST_CASE("documents: 10,000 damaged sections are refused, each") {
  std::mt19937 random(1);
  for (int i = 0; i < 10000; ++i) {
    const auto tokens = int32_t(2 + random() % 60);
    std::vector<uint32_t> starts = {0};
    for (uint32_t t = 1; t < uint32_t(tokens); ++t)
      if (random() % 3 == 0) starts.push_back(t);
    std::string file = with_documents(llmq_v2(std::vector<int32_t>(size_t(tokens), 7)), starts);
    const size_t section = 1024 + 4 * size_t(tokens);
    switch (random() % 3) {
      case 0:
        file.resize(section + random() % (file.size() - section));
        break;
      case 1:
        file += std::string(1 + random() % 9, char(random()));
        break;
      default: {  // a start moves to a neighbour's place or beyond
        const size_t d = random() % (starts.size() + 1), at = section + 4 * d;
        const uint32_t moved = d == 0               ? 1 + uint32_t(random()) % 9
                               : d == starts.size() ? uint32_t(tokens) + 1 + uint32_t(random()) % 9
                                                    : starts[d - 1] - uint32_t(random()) % (starts[d - 1] + 1);
        file.replace(at, 4, bytes_of<uint32_t>({moved}));
      }
    }
    const MemoryFile memory(reinterpret_cast<const uint8_t*>(file.data()), file.size());
    const std::string message = thrown(Exit::input, [&] { TokenFile f(memory.path()); });
    REQUIRE(message.find("offset ") != std::string::npos);
  }
}

// A file of a mask and no document starts: 9 ends turns and documents.
constexpr const char* kAllTargets = "\xff\x01";
const std::vector<int32_t> kTokens = {1, 2, 9, 3, 9, 9, 4, 5, 6};

TEST_CASE("document end: the file's starts, else behind each end token") {
  const ScratchDirectory scratch;
  const TokenFile says(scratch.write("a.bin", with_documents(llmq_v2(kTokens), {0, 4}))),
      plain(scratch.write("b.bin", llmq_v2(kTokens)));
  CHECK(starts_of(documents_of(says, {}, true)) == Starts{0, 4, 9});
  CHECK(starts_of(documents_of(says, {.automatic = false, .token = 9}, true)) == Starts{0, 3, 5, 6, 9});
  CHECK(starts_of(documents_of(plain, {.token = 9}, true)) == Starts{0, 3, 5, 6, 9});
  CHECK(starts_of(documents_of(plain, {.token = 6}, true)) == Starts{0, 9});  // it stands at the end
  CHECK(thrown(Exit::configuration, [&] { documents_of(plain, {}, false); }).find("give the token's id") !=
        std::string::npos);
}

TEST_CASE("document end: auto never cuts turns") {
  const ScratchDirectory scratch;
  const std::string turns = scratch.write("a.bin", llmq_v2(kTokens, 300, "\xef\x01")),  // the end at 4 is no target
      targets = scratch.write("b.bin", llmq_v2(kTokens, 300, kAllTargets));
  CHECK(thrown(Exit::configuration, [&] { documents_of(TokenFile(turns), {.token = 9}, false); }) ==
        "[data.document_end] " + turns +
            ": token 9 at 4 ends a turn, not a document; tokenize it again (the file then says where documents start), "
            "or name the token that ends documents");
  CHECK(documents_of(TokenFile(turns), {.automatic = false, .token = 9}, false).count() == 4);
  CHECK(documents_of(TokenFile(targets), {.token = 9}, false).count() == 4);
  CHECK(documents_of(TokenFile(turns), {.token = 2}, false).count() == 2);
}

TEST_CASE("document end: a token that is nowhere makes one document, or is refused where documents are needed") {
  const ScratchDirectory scratch;
  const TokenFile file(scratch.write("a.bin", llmq_v2(kTokens)));
  CHECK(starts_of(documents_of(file, {.token = 7}, false)) == Starts{0, 9});
  CHECK(thrown(Exit::configuration, [&] { documents_of(file, {.token = 7}, true); }).find("nor holds token 7") !=
        std::string::npos);
}

}  // namespace
}  // namespace tandem
