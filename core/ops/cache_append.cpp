// qkv (1, (q_heads + 2 kv_heads) * head_dim), position (1) i32, cache (2, kv_heads, capacity, head_dim) as qkv -> cache
// in place. The caller sets q_heads, kv_heads and head_dim.
#include "core/abi/cache_append.h"

#include "core/ops/inputs.h"

namespace tandem::ops {
namespace {

Signature infer(Operands inputs, Parameters& parameters) {
  auto p = parameters.as<abi::CacheAppend>();
  const Inputs in("cache_append", inputs, 3, 3);
  const TensorDesc& qkv = in.heads(0, "qkv", p.q_heads, p.kv_heads, p.head_dim);
  require(qkv.shape[0] == 1 && in[2].shape.rank() == 4,
          "cache_append: qkv is {}, cache {}, expected one token and four axes", qkv, in[2]);
  in.expect(1, "position", i32_desc({1}));
  in.expect(2, "cache", {qkv.dtype, {2, p.kv_heads, in[2].shape[2], p.head_dim}});
  p.capacity = u32(in[2].shape[2]);
  parameters = Parameters(p);
  return {.outputs = {in[2]}, .in_place = 1};
}

Cost cost(const Parameters&, Operands operands) {
  return {.flops = 0, .bytes = 2 * operands[0].bytes()};
}

}  // namespace

const Op cache_append{.infer = infer, .cost = cost, .budget = always<Budget::exact>};

}  // namespace tandem::ops
