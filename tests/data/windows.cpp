#include "core/data/windows.h"

#include <doctest/doctest.h>

#include "tests/data/scratch.h"

namespace tandem {
namespace {

struct Filled {
  std::vector<int32_t> inputs, targets, positions;
  uint64_t valid = 0;
};

Filled fill(const Windows& windows, uint64_t w) {
  const size_t T = windows.sequence_length();
  Filled f{std::vector<int32_t>(T, 99), std::vector<int32_t>(T, 99), std::vector<int32_t>(T, 99)};
  f.valid = windows.fill(w, {f.inputs, f.targets, f.positions});
  CHECK(f.valid == windows.valid_targets(w));
  return f;
}

using Tokens = std::vector<int32_t>;

// Documents 10 11 12 | 20 21 | 30 31 32 33 34 35 | 40
std::string documents_file() {
  return with_documents(llmq_v2({10, 11, 12, 20, 21, 30, 31, 32, 33, 34, 35, 40}), {0, 3, 5, 11});
}

TEST_CASE("windows: separate documents by the file's starts, cut by windows") {
  const ScratchDirectory scratch;
  const Windows windows({std::make_shared<TokenFile>(scratch.write("a.bin", documents_file()))},
                        {.sequence_length = 5, .separate_documents = true});
  REQUIRE(windows.count() == 2);
  const Filled a = fill(windows, 0), b = fill(windows, 1);
  CHECK(a.inputs == Tokens{10, 11, 12, 20, 21});
  CHECK(a.targets == Tokens{11, 12, -1, 21, -1});
  CHECK(a.positions == Tokens{0, 1, 2, 0, 1});
  CHECK(b.inputs == Tokens{30, 31, 32, 33, 34});
  CHECK(b.targets == Tokens{31, 32, 33, 34, 35});
  CHECK(b.positions == Tokens{0, 1, 2, 3, 4});
  const Windows two({std::make_shared<TokenFile>(scratch.path("a.bin"))},
                    {.sequence_length = 3, .separate_documents = true});
  const Filled cut = fill(two, 2);  // 31 32 33 | targets 32 33 34
  CHECK(cut.inputs == Tokens{31, 32, 33});
  CHECK(cut.positions == Tokens{0, 1, 2});
}

TEST_CASE("windows: whole documents, then padding that is a document of its own") {
  const ScratchDirectory scratch;
  const Windows windows({std::make_shared<TokenFile>(scratch.write("a.bin", documents_file()))},
                        {.sequence_length = 4, .packing = Packing::whole});
  REQUIRE(windows.count() == 2);  // inputs 2, 1, 5 (4 and 1), none: 2 1 1 and 4
  const Filled a = fill(windows, 0), b = fill(windows, 1);
  CHECK(a.inputs == Tokens{10, 11, 20, 34});
  CHECK(a.targets == Tokens{11, 12, 21, 35});
  CHECK(a.positions == Tokens{0, 1, 0, 0});
  CHECK(b.inputs == Tokens{30, 31, 32, 33});
  CHECK(b.targets == Tokens{31, 32, 33, 34});
  const Windows wide({std::make_shared<TokenFile>(scratch.path("a.bin"))},
                     {.sequence_length = 12, .packing = Packing::whole});
  const Filled c = fill(wide, 0);
  CHECK(c.inputs == Tokens{10, 11, 20, 30, 31, 32, 33, 34, 0, 0, 0, 0});
  CHECK(c.targets == Tokens{11, 12, 21, 31, 32, 33, 34, 35, -1, -1, -1, -1});
  CHECK(c.positions == Tokens{0, 1, 0, 0, 1, 2, 3, 4, 0, 1, 2, 3});
  CHECK(c.valid == 8);
  CHECK(wide.inputs(0) == 8);
}

TEST_CASE("windows: what they hold is counted") {
  const ScratchDirectory scratch;
  // valid: 11, 12, 20 (a document's first), 21; the last document has no target
  const auto file = std::make_shared<TokenFile>(scratch.write(
      "a.bin",
      with_documents(llmq_v2({10, 11, 12, 20, 21, 30, 31, 32, 33, 34, 35, 40}, 300, std::string("\x1e\x00", 2)),
                     {0, 3, 5, 11})));
  const WindowCounts whole = Windows({file}, {.sequence_length = 4, .packing = Packing::whole}).counts();
  CHECK(whole.windows == 2);
  CHECK(whole.inputs == 8);
  CHECK(whole.targets == 3);
  CHECK(whole.without_targets == 1);
  CHECK(whole.documents_cut == 1u);
  const WindowCounts stream = Windows({file}, {.sequence_length = 4}).counts();
  CHECK(stream.windows == 2);
  CHECK(stream.inputs == 8);
  CHECK(stream.targets == 4);
  CHECK(stream.without_targets == 1);
  CHECK(stream.documents_cut == 1u);  // 30 .. 35; 20 21 has its input in the first window
  CHECK(!Windows({std::make_shared<TokenFile>(scratch.write("b.bin", llmq_v2({1, 2, 3})))}, {.sequence_length = 2})
             .counts()
             .documents_cut);
}

TEST_CASE("windows: a file without a window, or without a target, is refused by name") {
  const ScratchDirectory scratch;
  const auto refusal = [&](const std::string& content, const WindowOptions& options) {
    const TokenFiles files = {std::make_shared<TokenFile>(scratch.write("a.bin", content))};
    return thrown(Exit::input, [&] { open_windows(files, options); });
  };
  CHECK(refusal(llmq_v2({1, 2, 3}), {.sequence_length = 2}) == "");
  CHECK(refusal(llmq_v2({}), {.sequence_length = 1}).find("offset 1024: holds 0 tokens") != std::string::npos);
  CHECK(refusal(llmq_v2({1, 2, 3}), {.sequence_length = 3}).find("holds 3 tokens and no whole window, which takes 4") !=
        std::string::npos);
  CHECK(refusal(with_documents(llmq_v2({1, 2, 3}), {0, 1, 2}), {.sequence_length = 3, .packing = Packing::whole})
            .find("no document of two tokens") != std::string::npos);
  CHECK(refusal(llmq_v2({1, 2, 3}, 300, "\x01"), {.sequence_length = 2}).find("no target counts") != std::string::npos);
}

}  // namespace
}  // namespace tandem
