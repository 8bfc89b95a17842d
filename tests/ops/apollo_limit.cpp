// Reference: each operation in f32, sums in the order of core/abi/apollo_limit.h. Source: the norm-growth limiter of
// apollo_torch 1.0.3, against which tests/golden/projected.cpp holds whole updates.
#include "core/abi/apollo_limit.h"

#include "tests/ops/same_bits.h"
#include "tests/ops/tree_order.h"
#include "tests/ops/update_words.h"

namespace tandem::test {
namespace {

float root_of_sum(const Tensor& x, uint64_t first, uint64_t count) {
  return std::sqrt(sum_in_lanes(count, [&](uint64_t i) { return float(x.get(first + i)); }));
}

void reference(const abi::ApolloLimit& p, Operands o) {
  const Tensor &partials = o[0], &sums = o[1], &update = o[2];
  Tensor &factor = o[3], &norm = o[4];
  if (update.u32(4)) return factor.set(0, 0);
  float f = 1;
  if (sums.present()) f = root_of_sum(sums, 0, p.channels) / (root_of_sum(sums, p.channels, p.channels) + 1e-8f);
  const float coefficient = update.word_as_float(1), last = float(norm.get(p.at)), most = 1.01f * last;
  const float own = f * (coefficient * root_of_sum(partials, 0, p.partials));
  const bool limited = last > 0 && own > most;
  factor.set(0, double((f * coefficient) * (limited ? most / own : 1.0f)));
  norm.set(p.at, double(limited ? most : own));
}

Filler squares() {
  return [](Tensor& x, Random& random) {
    for (uint64_t i = 0; i < x.size(); ++i) x.set(i, std::pow(random.normal(), 2));
  };
}

void cases(Cases& cases) {
  for (const uint32_t partials : {1u, 70u, 4200u})
    for (const uint32_t channels : {0u, 13u, 1003u})
      for (const double last : {0.0, 0.1, 1e9})
        for (const uint32_t skipped : {0u, 1u})
          cases.add(
              fmt::format("{} partials, {} channels, from {}{}", partials, channels, last, skipped ? ", skipped" : ""),
              abi::ApolloLimit{.at = 2},
              {in(DType::f32, {partials}, squares()), channels ? in(DType::f32, {2, channels}, squares()) : absent(),
               update_words(skipped), in(DType::f32, {3}, constant(last))});
  cases.add(
      "zeros", abi::ApolloLimit{},
      {in(DType::f32, {1}, zeros()), in(DType::f32, {2, 8}, zeros()), update_words(0), in(DType::f32, {1}, zeros())});
}

}  // namespace

OP_CASES(apollo_limit, abi::ApolloLimit)
SAME_BITS(apollo_limit)

}  // namespace tandem::test
