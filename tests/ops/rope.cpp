// Reference: rotation in f64, rounded once. Source: transformers' apply_rotary_pos_emb (halves paired).
#include "core/abi/rope.h"
#include "tests/ops/head_sizes.h"

namespace tandem::test {
namespace {

void reference(const abi::Rope& p, Operands o) {
  Tensor& x = o[2];
  const uint64_t heads = p.q_heads + 2 * p.kv_heads, half = p.head_dim / 2;
  for (uint64_t r = 0; r < p.rows; ++r)
    for (uint64_t h = 0; h < p.q_heads + p.kv_heads; ++h)
      for (uint64_t d = 0; d < half; ++d) {
        const uint64_t angle = (uint64_t(o[0].i32(r)) * half + d) * 2;
        const double cos = o[1].get(angle), sin = o[1].get(angle + 1) * (p.inverse ? -1 : 1);
        const uint64_t i = (r * heads + h) * p.head_dim + d;
        const double a = x.get(i), b = x.get(i + half);
        x.set(i, a * cos - b * sin);
        x.set(i + half, b * cos + a * sin);
      }
}

void table(Tensor& t, Random&) {
  const uint64_t half = t.desc().shape[1];
  for (uint64_t i = 0; i < t.size() / 2; ++i) {
    const double angle = double(i / half) * std::pow(10000.0, -double(i % half) / double(half));
    t.set(2 * i, std::cos(angle));
    t.set(2 * i + 1, std::sin(angle));
  }
}

void cases(Cases& cases) {
  for (DType dtype : kFloats)
    for (const Heads& h : kHeads)
      for (uint32_t inverse : {0, 1}) {
        const abi::Rope p{0, h.q, h.kv, h.dim, 0, inverse};
        const Input angles = in(DType::f32, {23, h.dim / 2, 2}, table);
        const std::string name = fmt::format("{} {}{}", name_of(dtype), h.text(), inverse ? " inverse" : "");
        cases.add(name, p, {in(DType::i32, {23}, positions(23, {9})), angles, in(dtype, {23, h.width()})});
        cases.add(name + " T = 1", p, {in(DType::i32, {1}, words({22})), angles, in(dtype, {1, h.width()})});
        cases.add(name + " odd", p, {in(DType::i32, {7}, positions(7)), angles, in(dtype, {7, h.width()}, odd_rows())});
      }
}

}  // namespace

OP_CASES(rope, abi::Rope)

}  // namespace tandem::test
