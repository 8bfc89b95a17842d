// Kernels chosen from what a library proposes: by a given choice, a cache, a race, or its first proposal.
#include "core/runtime/kernel_choices.h"

#include <doctest/doctest.h>

#include <cstdlib>

#include "core/base/cache_file.h"
#include "core/base/json.h"
#include "tests/support/temporary.h"

namespace tandem {
namespace {

using Counts = std::array<size_t, kChoiceSources>;  // given, cache, timed, first

// Proposes three kernels; those of `slow` take longer, those of `refused` fail their check, those of `broken` do not
// run.
struct Library : KernelProposals {
  std::set<std::string> slow, refused, broken;
  size_t runs = 0;

  std::vector<std::string> all() override { return {"a", "b", "c"}; }
  bool accepts(const std::string& kernel) override {
    return (kernel == "a" || kernel == "b" || kernel == "c") && !refused.contains(kernel);
  }
  std::optional<double> seconds(const std::string& kernel) override {
    ++runs;
    if (broken.contains(kernel)) return {};
    return slow.contains(kernel) ? 2.0 : 1.0;
  }
};

// A cache directory of the test's own, and what a table keeps there.
struct Cache {
  Cache() { setenv("XDG_CACHE_HOME", directory.path().c_str(), 1); }
  ~Cache() { unsetenv("XDG_CACHE_HOME"); }
  void use() const { setenv("XDG_CACHE_HOME", directory.path().c_str(), 1); }
  static Json content() {
    const std::vector<std::byte> data = read_cache_file("library.json");
    return data.empty() ? Json() : parse_json({reinterpret_cast<const char*>(data.data()), data.size()}, "cache");
  }
  test::TemporaryDirectory directory;
};

TEST_CASE("kernel choices: the fastest is timed once, cached, and read from the cache") {
  const Cache cache;
  Library library;
  library.slow = {"a", "c"};
  KernelTable first("library.json");
  CHECK(first.choose("product", library) == "b");
  CHECK(library.runs > 0);
  CHECK(first.counts() == Counts{0, 0, 1, 0});
  library.runs = 0;
  CHECK(first.choose("product", library) == "b");
  CHECK(library.runs == 0);
  CHECK(first.counts() == Counts{0, 0, 1, 0});
  first.save();
  CHECK(Cache::content() == Json{{"product", "b"}});

  library.slow = {"b"};
  KernelTable second("library.json");
  CHECK(second.choose("product", library) == "b");
  CHECK(library.runs == 0);
  CHECK(second.counts() == Counts{0, 1, 0, 0});
  library.refused = {"b"};  // a new library
  KernelTable third("library.json");
  CHECK(third.choose("product", library) == "a");
  CHECK(third.counts() == Counts{0, 0, 1, 0});
}

TEST_CASE("kernel choices: a library of which nothing runs has no kernel, and nothing is cached") {
  const Cache cache;
  Library library;
  library.broken = {"a", "b", "c"};
  KernelTable table("library.json");
  CHECK_FALSE(table.choose("product", library));
  library.broken.clear();
  CHECK_FALSE(table.choose("product", library));  // no run mixes two answers
  CHECK(table.chosen().empty());
  table.save();
  CHECK(Cache::content() == Json());

  library.broken = {"a"};
  KernelTable other("library.json");
  CHECK(other.choose("product", library) == "b");
  library.refused = {"a", "b", "c"};
  other.use({.given = {}, .timed = false});
  CHECK_FALSE(other.choose("another", library));
}

TEST_CASE("kernel choices: given ones go first where they are accepted, and never enter the cache") {
  const Cache cache;
  Library library;
  KernelTable table("library.json");
  table.use({.given = {{"product", "c"}, {"refused", "z"}, {"elsewhere", "b"}}});
  CHECK(table.choose("product", library) == "c");
  CHECK(library.runs == 0);
  CHECK(table.choose("refused", library) == "a");
  CHECK(table.choose("missing", library) == "a");
  CHECK(table.counts() == Counts{1, 0, 2, 0});
  CHECK(table.chosen() == KernelChoices{{"product", "c"}, {"refused", "a"}, {"missing", "a"}});
  table.save();
  CHECK(Cache::content() == Json{{"missing", "a"}, {"refused", "a"}});
}

TEST_CASE("kernel choices: two caches that differ and one file of choices give one set") {
  const Cache one, two;
  Library library;
  const std::vector<std::string> names = {"p", "q", "r"};
  const auto run = [&](const Cache& cache, ChoiceRules rules) {
    cache.use();
    KernelTable table("library.json");
    table.use(std::move(rules));
    for (const std::string& name : names) table.choose(name, library);
    table.save();
    return table;
  };
  library.slow = {"a"};
  const KernelTable here = run(one, {});
  library.slow = {"a", "b"};
  const KernelTable there = run(two, {});
  REQUIRE(here.chosen() != there.chosen());

  const ChoiceRules file{.given = {{"p", "c"}, {"q", "b"}}, .timed = false};
  library.runs = 0;
  for (const Cache* cache : {&one, &two}) {
    const KernelTable table = run(*cache, file);
    CHECK(table.chosen() == KernelChoices{{"p", "c"}, {"q", "b"}, {"r", "a"}});
    CHECK(table.counts() == Counts{2, 0, 0, 1});
  }
  library.refused = {"a"};
  for (const Cache* cache : {&one, &two})
    CHECK(run(*cache, {.given = {}, .timed = false}).chosen() == KernelChoices{{"p", "b"}, {"q", "b"}, {"r", "b"}});
  CHECK(library.runs == 0);
  one.use();
  CHECK(Cache::content() == Json{{"p", "b"}, {"q", "b"}, {"r", "b"}});
  two.use();
  CHECK(Cache::content() == Json{{"p", "c"}, {"q", "c"}, {"r", "c"}});
}

TEST_CASE("kernel choices: a cache that another process wrote meanwhile is kept, a broken one is replaced") {
  const Cache cache;
  Library library;
  KernelTable one("library.json"), two("library.json");
  one.choose("p", library);
  two.choose("q", library);
  one.save();
  two.save();
  CHECK(Cache::content() == Json{{"p", "a"}, {"q", "a"}});
  constexpr std::string_view kBroken = "{\"p\": ";
  write_cache_file("library.json", std::as_bytes(std::span(kBroken)));
  KernelTable three("library.json");
  CHECK(three.choose("p", library) == "a");
  CHECK(three.counts() == Counts{0, 0, 1, 0});
  three.save();
  CHECK(Cache::content() == Json{{"p", "a"}});
}

}  // namespace
}  // namespace tandem
