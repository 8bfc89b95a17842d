#include "core/base/shape.h"

#include "tests/support/temporary.h"

using namespace tandem;
using test::check_fails;

TEST_CASE("shapes count and print") {
  const Shape shape{4, 512, 64};
  CHECK(shape.rank() == 3);
  CHECK(shape.count() == 131072);
  CHECK(shape.rows() == 2048);
  CHECK(shape.back() == 64);
  CHECK(shape.without_last() == Shape{4, 512});
  CHECK(shape.with_first(7) == Shape{7, 512, 64});
  CHECK(shape.text() == "(4, 512, 64)");
  CHECK(Shape{}.count() == 1);
  CHECK(Shape{3, 0}.count() == 0);
  CHECK(Shape{2, 3} != Shape{3, 2});
  CHECK(Shape{2} != Shape{2, 1});
}

TEST_CASE("shapes that overflow or have no last axis are broken invariants") {
  check_fails(Exit::internal, {"2^64"}, [] { (void)Shape{uint64_t{1} << 40, uint64_t{1} << 24}.count(); });
  check_fails(Exit::internal, {"no last axis"}, [] { Shape{}.without_last(); });
  check_fails(Exit::internal, {"no first axis"}, [] { (void)Shape{}.with_first(1); });
  check_fails(Exit::internal, {"axis 1 of shape (3)"}, [] { (void)Shape{3}[1]; });
  check_fails(Exit::internal, {"5 axes", "at most 4"}, [] { (void)Shape{1, 2, 3, 4, 5}; });
}

TEST_CASE("tensor descriptions know their bytes") {
  CHECK(TensorDesc{DType::bf16, {3, 5}}.bytes() == 30);
  CHECK(TensorDesc{DType::f32, {}}.bytes() == 4);
  CHECK(TensorDesc{DType::e4m3, {7}}.bytes() == 7);
  CHECK(TensorDesc{}.bytes() == 0);
  CHECK(TensorDesc{DType::bf16, {3, 5}}.text() == "bf16 (3, 5)");
  CHECK(TensorDesc{}.text() == "-");
}
