// Reference: each operation in f32, sums in the order of core/abi/apollo_norm.h.
#include "core/abi/apollo_norm.h"

#include "tests/ops/same_bits.h"
#include "tests/ops/tree_order.h"

namespace tandem::test {
namespace {

void reference(const abi::ApolloNorm& p, Operands o) {
  const Tensor &x = o[0], &factors = o[1];
  const auto square = [&](uint64_t e) {
    const uint64_t channel = p.transposed ? e % p.columns : e / p.columns;
    const float scaled = (factors.present() ? float(factors.get(channel)) : 1.0f) * float(x.get(e));
    return scaled * scaled;
  };
  for (uint64_t partial = 0; partial < o[2].size(); ++partial) {
    const uint64_t first = partial * abi::kApolloNormBlock,
                   end = std::min<uint64_t>(first + abi::kApolloNormBlock, p.count);
    const float sum = sum_in_lanes((end - first) / 4, [&](uint64_t i) {
      const uint64_t e = first + 4 * i;
      return (square(e) + square(e + 1)) + (square(e + 2) + square(e + 3));
    });
    o[2].set(partial, double(sum));
  }
}

void cases(Cases& cases) {
  for (const DType dtype : kFloats)
    for (const bool transposed : {false, true})
      for (Shape shape : {Shape{24, 40}, Shape{1003, 72}, Shape{3, 5120}, Shape{1, 4}, Shape{256, 64}}) {
        const abi::ApolloNorm p{.transposed = transposed};
        const std::string name = fmt::format("{} {}{}", name_of(dtype), shape, transposed ? " transposed" : "");
        cases.add(name, p, {in(dtype, shape), in(DType::f32, {shape[transposed ? 1 : 0]})});
        if (!transposed) cases.add(name + " without factors", p, {in(dtype, shape), absent()});
      }
}

}  // namespace

OP_CASES(apollo_norm, abi::ApolloNorm)
SAME_BITS(apollo_norm)

}  // namespace tandem::test
