// Reference: f32 additions in the order of ranks; random bits by the definition in docs/numerics.md.
#include "core/abi/rank_sum.h"

#include "tests/ops/random_word.h"
#include "tests/support/op_case.h"

namespace tandem::test {
namespace {

void reference(const abi::RankSum& p, Operands o) {
  const Tensor &parts = o[0], &scalars = o[1], &counter = o[2];
  Tensor& g = o[3];
  const RandomKey key{scalars.u32(3), scalars.u32(4), scalars.u32(2), scalars.u32(6)};
  const uint32_t k = p.by_micro_step ? counter.u32(1) : 0, r = p.by_owner ? key.rank : 0;
  for (uint64_t i = 0; i < p.count; ++i) {
    float sum = p.accumulate ? float(g.get(i)) : 0.0f;
    for (uint64_t part = 0; part < p.ranks; ++part) sum += float(parts.get(part * p.count + i));
    if (g.dtype() == DType::f32) g.set(i, double(sum));
    else
      g.set_bits(
          i, abi::bf16_from_f32_stochastic(sum, random_word(p.segments, key, i, 3 + 256 * (k * p.ranks + r)) & 0xffff));
  }
}

abi::RankSum parameters(uint32_t accumulate, uint32_t by_micro_step, uint32_t by_owner) {
  abi::RankSum p{};
  p.accumulate = accumulate;
  p.by_micro_step = by_micro_step;
  p.by_owner = by_owner;
  p.segments.count = 1;
  p.segments.tensor[0] = 7;
  return p;
}

std::vector<Input> inputs(DType part, DType g, const Shape& parts, uint32_t rank, Filler values = normal()) {
  return {in(part, parts, values), in(DType::u32, {16}, words({1, 2, 11, 0xdeadbeefu, 0x01234567u, 3, rank})),
          in(DType::i32, {16}, words({9, 5})), in(g, Shape(parts.sizes().subspan(1)))};
}

Filler subnormals() {
  return [](Tensor& x, Random& random) {
    for (uint64_t i = 0; i < x.size(); ++i) x.set(i, 1e-39 * random.normal());
  };
}

// what every pair of dtypes goes through
void dtype_cases(Cases& cases, DType part, DType g) {
  const std::string name = fmt::format("parts {} g {}", name_of(part), name_of(g));
  for (uint64_t ranks = 1; ranks <= 9; ++ranks)
    for (uint32_t flags = 0; flags < 8; flags += ranks == 3 ? 1 : 7)
      cases.add(fmt::format("{} {} ranks, flags {}", name, ranks, flags),
                parameters(flags & 1, flags >> 1 & 1, flags >> 2), inputs(part, g, {ranks, 24}, uint32_t(ranks) - 1));
  for (Shape shape : {Shape{2, 8}, Shape{2, 16, 168}, Shape{5, 4104}})
    cases.add(fmt::format("{} {}", name, shape), parameters(1, 1, 1), inputs(part, g, shape, 1));

  abi::RankSum stacked = parameters(1, 1, 1);
  stacked.segments = {.first = 7, .rank_stride = 10, .count = 3, .begin = {0, 30, 38}, .tensor = {3, 1, 900}};
  for (uint32_t rank : {0u, 1u, 3u})
    cases.add(fmt::format("{} rank {} of three segments", name, rank), stacked, inputs(part, g, {4, 40}, rank));
  stacked.segments = {
      .first = 7, .rank_stride = 0x30000000u, .count = 3, .begin = {0, 0x80000000u, 0xf0000010u}, .tensor = {3, 1, 9}};
  for (uint32_t rank : {1u, 4u, 5u})
    cases.add(fmt::format("{} rank {} of 2^34 elements", name, rank), stacked, inputs(part, g, {6, 80}, rank));

  for (uint32_t accumulate : {0u, 1u}) {
    const abi::RankSum p = parameters(accumulate, 0, 0);
    const std::string how = fmt::format("{} accumulate {}", name, accumulate);
    const auto with = [&](Filler values) { return inputs(part, g, {3, 64}, 2, std::move(values)); };
    cases.add(how + " order", p,
              with(put(zeros(), {{0, 1e30}, {64, -1e30}, {128, 1}, {1, 1}, {65, 1e30}, {129, -1e30}})));
    cases.add(how + " not finite", p, with(put(normal(), {{0, NAN}, {65, INFINITY}, {2, INFINITY}, {66, -INFINITY}})));
    cases.add(how + " overflow", p, with(constant(3e38)));
    cases.add(how + " subnormals", p, with(subnormals()));
    auto negative = with(constant(-0.0));
    negative.back().fill = constant(-0.0);  // alone adds up to -0; from +0 on the sum is +0
    cases.add(how + " negative zeros", p, negative);
  }
}

void cases(Cases& cases) {
  for (DType part : kFloats)
    for (DType g : kFloats) dtype_cases(cases, part, g);
}

}  // namespace

OP_CASES(rank_sum, abi::RankSum)

}  // namespace tandem::test
