// Reference: copies by their bits.
#include "core/abi/cache_append.h"
#include "tests/ops/head_sizes.h"

namespace tandem::test {
namespace {

void reference(const abi::CacheAppend& p, Operands o) {
  const int32_t position = o[1].i32(0);
  if (position < 0 || uint32_t(position) >= p.capacity) return;
  for (uint64_t head = 0; head < 2 * uint64_t(p.kv_heads); ++head)
    for (uint64_t d = 0; d < p.head_dim; ++d)
      o[2].set_bits((head * p.capacity + uint64_t(position)) * p.head_dim + d,
                    o[0].bits((p.q_heads + head) * p.head_dim + d));
}

void cases(Cases& cases) {
  for (DType dtype : kFloats)
    for (const Heads& h : kHeads)
      for (uint32_t position : {0u, 5u, 10u, 11u, 0xffffffffu})
        cases.add(fmt::format("{} {} at {}", name_of(dtype), h.text(), int32_t(position)),
                  abi::CacheAppend{h.q, h.kv, h.dim, 0},
                  {in(dtype, {1, h.width()}), in(DType::i32, {1}, words({position})), in(dtype, {2, h.kv, 11, h.dim})});
}

}  // namespace

OP_CASES(cache_append, abi::CacheAppend)

}  // namespace tandem::test
