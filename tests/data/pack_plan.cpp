#include "core/data/pack_plan.h"

#include <doctest/doctest.h>

#include <map>
#include <random>

#include "core/base/hash.h"
#include "tests/data/scratch.h"

namespace tandem {
namespace {

Documents of_lengths(const std::vector<uint64_t>& lengths) {
  std::vector<uint64_t> starts = {0};
  for (const uint64_t length : lengths) starts.push_back(starts.back() + length);
  return Documents(std::move(starts));
}

// First fit by looking at each window in turn.
PackPlan naive_plan(const Documents& documents, uint32_t T) {
  std::vector<uint32_t> room;
  std::vector<std::vector<std::pair<uint64_t, uint32_t>>> windows;
  for (uint64_t d = 0; d < documents.count(); ++d)
    for (uint64_t done = 0, all = documents.length(d) - 1; done < all; done += T) {
      const auto places = uint32_t(std::min<uint64_t>(T, all - done));
      size_t w = 0;
      while (w < room.size() && room[w] < places) ++w;
      if (w == room.size()) room.push_back(T), windows.emplace_back();
      room[w] -= places;
      windows[w].emplace_back(documents.start(d) + done, places);
    }
  PackPlan plan;
  for (const auto& window : windows) {
    plan.windows.push_back(plan.first.size());
    for (const auto& [first, places] : window) plan.first.push_back(first), plan.places.push_back(places);
  }
  plan.windows.push_back(plan.first.size());
  return plan;
}

TEST_CASE("pack plan: documents go in order, each into the first window that has room") {
  // 4 places: inputs 3, 2, 1, 6 (4 and 2), none, 2
  const PackPlan plan = make_pack_plan(of_lengths({4, 3, 2, 7, 1, 3}), 4);
  CHECK(plan.windows == std::vector<uint64_t>{0, 2, 4, 5, 6});
  CHECK(plan.first == std::vector<uint64_t>{0, 7, 4, 13, 9, 17});
  CHECK(plan.places == std::vector<uint32_t>{3, 1, 2, 2, 4, 2});
  const PackPlan none = make_pack_plan(of_lengths({1, 1}), 4);
  CHECK(none.windows == std::vector<uint64_t>{0});
  CHECK(none.window_count() == 0);
}

TEST_CASE("pack plan: for random lengths it is first fit, with every target once and no window above T") {
  std::mt19937 random(7);
  for (int i = 0; i < 300; ++i) {
    const uint32_t T = 1 + uint32_t(random()) % 40;
    std::vector<uint64_t> lengths(1 + random() % 200);
    for (uint64_t& length : lengths) length = 1 + random() % (1 + random() % (3 * T));
    const Documents documents = of_lengths(lengths);
    const PackPlan plan = make_pack_plan(documents, T);
    REQUIRE(plan == naive_plan(documents, T));
    std::vector<uint32_t> seen(documents.start(documents.count()));
    for (uint64_t w = 0; w < plan.window_count(); ++w) {
      uint64_t places = 0;
      for (uint64_t p = plan.windows[w]; p < plan.windows[w + 1]; ++p) {
        places += plan.places[p];
        for (uint64_t t = 0; t < plan.places[p]; ++t) ++seen[plan.first[p] + t + 1];
      }
      REQUIRE(places <= T);
    }
    for (uint64_t d = 0; d < documents.count(); ++d)
      for (uint64_t t = documents.start(d); t < documents.start(d + 1); ++t)
        REQUIRE(seen[t] == (t == documents.start(d) ? 0 : 1));
    const std::vector<std::byte> bytes = pack_plan_bytes(plan, documents, T);
    REQUIRE(pack_plan_bytes(make_pack_plan(documents, T), documents, T) == bytes);
    REQUIRE(read_pack_plan(bytes, documents, T) == plan);
  }
}

// expected: the layout of docs/formats.md
TEST_CASE("pack plan: the bytes of its file") {
  const std::vector<uint64_t> starts = {0, 4, 7, 9, 16, 17, 20};
  const Documents documents(starts);
  const PackPlan plan = make_pack_plan(documents, 4);
  const std::string rest = bytes_of<uint64_t>({0, 2, 4, 5, 6}) + bytes_of<uint64_t>({0, 7, 4, 13, 9, 17}) +
                           bytes_of<uint32_t>({3, 1, 2, 2, 4, 2});
  const auto number = [](const std::string& bytes) {
    return std::stoull(xxh3(std::as_bytes(std::span(bytes))), nullptr, 16);
  };
  const std::string head = "TDMPACK1" + bytes_of<uint64_t>({number(bytes_of(starts)), number(rest), 6, 6, 4}) +
                           bytes_of<uint32_t>({4, 0, 0, 0});
  const std::vector<std::byte> bytes = pack_plan_bytes(plan, documents, 4);
  CHECK(std::string(reinterpret_cast<const char*>(bytes.data()), bytes.size()) == head + rest);
}

TEST_CASE("pack plan: a damaged file, one of other documents or of another length is not taken") {
  const Documents documents = of_lengths({4, 3, 2, 7, 1, 3});
  const std::vector<std::byte> good = pack_plan_bytes(make_pack_plan(documents, 4), documents, 4);
  CHECK(read_pack_plan(good, documents, 4).has_value());
  CHECK(!read_pack_plan(good, documents, 5));
  CHECK(!read_pack_plan(good, of_lengths({4, 3, 2, 7, 1, 2}), 4));
  CHECK(!read_pack_plan(good, of_lengths({4, 3, 3, 6, 1, 3}), 4));
  for (size_t bit = 0; bit < 8 * good.size(); ++bit) {
    std::vector<std::byte> bad = good;
    bad[bit / 8] ^= std::byte(1 << (bit % 8));
    REQUIRE(!read_pack_plan(bad, documents, 4));
  }
  for (size_t size = 0; size < good.size(); ++size) REQUIRE(!read_pack_plan(std::span(good).first(size), documents, 4));
}

TEST_CASE("pack plan: its file is written beside the tokens, read again, and made anew where it is wrong") {
  const ScratchDirectory scratch;
  const std::string tokens = scratch.path("a.bin"), path = scratch.path("a.bin.pack-4");
  const Documents documents = of_lengths({4, 3, 2, 7, 1, 3});
  const PackPlan plan = pack_plan_of(tokens, documents, 4);
  const std::string content = read_text(path);
  CHECK(plan == make_pack_plan(documents, 4));
  CHECK(pack_plan_of(tokens, documents, 4) == plan);
  scratch.write("a.bin.pack-4", "damaged");
  CHECK(pack_plan_of(tokens, documents, 4) == plan);
  CHECK(read_text(path) == content);
  CHECK(pack_plan_of(scratch.path("none/a.bin"), documents, 4) == plan);  // where nothing can be written
}

}  // namespace
}  // namespace tandem
