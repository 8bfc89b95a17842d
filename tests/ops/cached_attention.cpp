// Reference: f64, as attention's.
#include "core/abi/cached_attention.h"
#include "tests/ops/attention_sizes.h"

namespace tandem::test {
namespace {

void reference(const abi::CachedAttention& p, Operands o) {
  const Tensor &qkv = o[0], &cache = o[2];
  const uint64_t keys = uint64_t(o[1].i32(0)) + 1;
  for (uint64_t head = 0; head < p.q_heads; ++head) {
    const uint64_t kv = head / (p.q_heads / p.kv_heads);
    const auto at = [&](uint64_t part, uint64_t j) { return ((part * p.kv_heads + kv) * p.capacity + j) * p.head_dim; };
    std::vector<double> score;
    double largest = -INFINITY, sum = 0;
    for (uint64_t j = 0; j < keys; ++j) {
      score.push_back(double(p.scale) * dot(qkv, head * p.head_dim, cache, at(0, j), p.head_dim));
      if (!(score.back() <= largest)) largest = score.back();
    }
    for (double& s : score) sum += s = std::exp(s - largest);
    for (uint64_t d = 0; d < p.head_dim; ++d) {
      double value = 0;
      for (uint64_t j = 0; j < keys; ++j) value += score[j] * cache.get(at(1, j) + d);
      o[3].set(head * p.head_dim + d, value / sum);
    }
  }
}

void cases(Cases& cases) {
  for (DType dtype : kFloats)
    for (const Heads& h : kHeads)
      for (auto [capacity, position] : {std::pair<uint64_t, uint32_t>{1, 0}, {40, 0}, {40, 16}, {130, 129}}) {
        const abi::CachedAttention p{h.q, h.kv, h.dim, 0, float(1 / std::sqrt(double(h.dim)))};
        const std::string name = fmt::format("{} {} at {} of {}", name_of(dtype), h.text(), position, capacity);
        const Input query = in(dtype, {1, h.width()}), where = in(DType::i32, {1}, words({position}));
        const Shape cache{2, h.kv, capacity, h.dim};
        cases.add(name, p, {query, where, in(dtype, cache)});
        // what lies behind the position is never read
        if (position + 1 < capacity)
          cases.add(name + ", NaN behind", p, {query, where, in(dtype, cache, [=](Tensor& x, Random& random) {
                                                 normal()(x, random);
                                                 for (uint64_t i = 0; i < x.size(); ++i)
                                                   if (i / h.dim % capacity > position) x.set(i, NAN);
                                               })});
      }
  // more keys than a loop over keys and elements would reach in software
  for (DType dtype : kFloats) {
    const abi::CachedAttention p{2, 1, 256, 0, 0x1p-4f};
    cases.add(fmt::format("{} 2100 keys", name_of(dtype)), p,
              {in(dtype, {1, 4 * 256}), in(DType::i32, {1}, words({2099})), in(dtype, {2, 1, 2100, 256})});
  }
}

}  // namespace

OP_CASES(cached_attention, abi::CachedAttention)

}  // namespace tandem::test
