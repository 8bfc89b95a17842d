#include "core/base/inline_vector.h"

#include <doctest/doctest.h>

#include <vector>

using namespace tandem;

namespace {

using Few = InlineVector<int, 3>;

std::vector<int> elements(const Few& few) {
  return {few.begin(), few.end()};
}

}  // namespace

TEST_CASE("inline vector: it holds what a std::vector would, in itself or on the heap") {
  Few few;
  std::vector<int> same;
  for (int i = 0; i < 20; ++i) {
    few.push_back(i * i);
    same.push_back(i * i);
    CHECK(elements(few) == same);
    const bool inside = few.data() >= static_cast<void*>(&few) && few.data() < static_cast<void*>(&few + 1);
    CHECK(inside == (i < 3));
  }
  few.resize(2);
  CHECK(elements(few) == std::vector{0, 1});
  CHECK(elements(Few(few)) == std::vector{0, 1});  // though they still lie on the heap
  few.resize(4);
  CHECK(elements(few) == std::vector{0, 1, 0, 0});  // new elements are zero, not what was there
  CHECK_THROWS_AS(few[4], Error);
  CHECK_THROWS_AS(Few().back(), Error);
}

TEST_CASE("inline vector: copies are their own, a moved one is empty, and lists are equal by their elements") {
  for (const Few& from : {Few{}, Few{1, 2}, Few{1, 2, 3, 4, 5}}) {
    Few copy = from;
    CHECK(copy == from);
    copy.push_back(6);
    CHECK(copy != from);
    Few moved = std::move(copy);
    CHECK(copy.empty());
    CHECK(moved.back() == 6);
    moved = from;
    CHECK(moved == from);
    moved = *&moved;
    CHECK(moved == from);
    copy = moved;  // one that was moved from
    CHECK(copy == from);
    copy = Few{9};
    CHECK(copy == Few{9});
    moved.append(from);
    moved.append({7, 8});
    CHECK(moved.size() == 2 * from.size() + 2);
    CHECK(moved.back() == 8);
  }
}
