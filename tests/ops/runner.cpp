// The comparison that every op case goes through must itself be able to fail.
#include "tests/support/evaluate.h"
#include "tests/support/op_case.h"

namespace tandem::test {
namespace {

Buffer ones(DType dtype, uint64_t count) {
  return buffer_of(dtype, {count}, std::vector<double>(count, 1));
}

std::string changed(DType dtype, Budget budget, std::vector<std::pair<uint64_t, double>> elements) {
  Buffer a = ones(dtype, 1000), b = ones(dtype, 1000);
  for (const auto& [i, value] : elements) a.view().set(i, value);
  return difference(a.view(), b.view(), budget);
}

}  // namespace

TEST_CASE("comparison: equal operands pass, any budget") {
  for (Budget budget : {Budget::exact, Budget::elementwise, Budget::sums, Budget::fp8_gemm, Budget::fast_gemm})
    for (DType dtype : kFloats) CHECK(changed(dtype, budget, {}) == "");
}

TEST_CASE("comparison: an ulp passes where sums may differ, and not where bits are equal") {
  const double ulp = 0x1p-7;
  CHECK(changed(DType::bf16, Budget::sums, {{3, 1 + ulp}}) == "");
  CHECK(changed(DType::bf16, Budget::exact, {{3, 1 + ulp}}) != "");
  CHECK(changed(DType::f32, Budget::elementwise, {{3, 1 + 0x1p-23}}) == "");
  CHECK(changed(DType::f32, Budget::exact, {{3, 1 + 0x1p-23}}) != "");
}

TEST_CASE("comparison: what is beyond the budget is reported") {
  CHECK(changed(DType::bf16, Budget::sums, {{3, 1 + 4 * 0x1p-7}}) != "");
  CHECK(changed(DType::f32, Budget::elementwise, {{3, 1.0001}}) != "");
  CHECK(changed(DType::f32, Budget::sums, {{3, 1.001}}) != "");
  std::vector<std::pair<uint64_t, double>> many;
  for (uint64_t i = 0; i < 30; ++i) many.push_back({i, 1 + 0x1p-7});
  CHECK(changed(DType::bf16, Budget::sums, many) != "");
  Buffer zero = buffer_of(DType::f32, {2}, {0, 0}), other = buffer_of(DType::f32, {2}, {0, 1e-20});
  CHECK(difference(other.view(), zero.view(), Budget::sums) != "");
}

TEST_CASE("comparison: attention in bf16 may differ anywhere, by NMSE 3e-5") {
  const double ulp = 0x1p-7;
  std::vector<std::pair<uint64_t, double>> all, too_many;
  for (uint64_t i = 0; i < 1000; ++i) {
    all.push_back({i, i % 4 == 0 ? 1 + ulp : 1});
    too_many.push_back({i, 1 + ulp});
  }
  CHECK(changed(DType::bf16, Budget::attention, all) == "");
  CHECK(changed(DType::bf16, Budget::attention, too_many) != "");
  CHECK(changed(DType::f32, Budget::attention, {{3, 1.001}}) != "");
}

TEST_CASE("comparison: sums of e4m3 products may differ by NMSE 1e-6, with fast accumulation by 1e-4") {
  std::vector<std::pair<uint64_t, double>> little, much;  // NMSE 2.5e-5 and 2.5e-3
  for (uint64_t i = 0; i < 1000; ++i) little.push_back({i, 1.005}), much.push_back({i, 1.05});
  CHECK(changed(DType::f32, Budget::fp8_gemm, little) != "");
  CHECK(changed(DType::f32, Budget::fast_gemm, little) == "");
  CHECK(changed(DType::f32, Budget::fast_gemm, much) != "");
}

TEST_CASE("comparison: NaN and infinity must stand in the same places") {
  for (double odd : {double(NAN), double(INFINITY)})
    for (DType dtype : kFloats) CHECK(changed(dtype, Budget::sums, {{3, odd}}) != "");
  Buffer a = buffer_of(DType::f32, {3}, {1, NAN, INFINITY}), b = buffer_of(DType::f32, {3}, {1, NAN, -INFINITY});
  CHECK(difference(a.view(), a.view(), Budget::sums) == "");
  CHECK(difference(a.view(), b.view(), Budget::sums) != "");
}

TEST_CASE("comparison: integers and codes are exact whatever the budget") {
  Buffer a = buffer_of(DType::i32, {2}, {1000000, 2}), b = buffer_of(DType::i32, {2}, {1000001, 2});
  CHECK(difference(a.view(), b.view(), Budget::sums) != "");
  CHECK(difference(a.view(), a.view(), Budget::sums) == "");
}

}  // namespace tandem::test
