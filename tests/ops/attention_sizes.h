// What the attention ops are tried with, and their score of a query and a key.
#pragma once

#include "core/abi/attention.h"
#include "core/abi/attention_backward.h"
#include "core/abi/attention_delta.h"
#include "tests/ops/head_sizes.h"
#include "tests/support/evaluate.h"

namespace tandem::test {

// first element of a head in stacked q | k | v rows; p: abi::Attention or abi::AttentionBackward
template <typename P>
uint64_t head_at(const P& p, uint64_t row, uint64_t head) {
  return (row * (p.q_heads + 2 * uint64_t(p.kv_heads)) + head) * p.head_dim;
}
template <typename P>
uint64_t key_head(const P& p, uint64_t h) {
  return p.q_heads + h / (p.q_heads / p.kv_heads);
}

inline double dot(const Tensor& a, uint64_t i, const Tensor& b, uint64_t j, uint64_t count) {
  double sum = 0;
  for (uint64_t d = 0; d < count; ++d) sum += a.get(i + d) * b.get(j + d);
  return sum;
}

struct Sequences {
  const char* name;
  uint64_t batch, length;
  std::vector<uint64_t> starts;  // rows at which a document starts inside a sequence
};

inline const Sequences kSequences[] = {
    {"T = 1", 3, 1, {}},
    {"T = 17", 2, 17, {}},
    {"T = 70, documents", 2, 70, {3, 4, 40, 70 + 69}},
    {"T = 200, documents", 1, 200, {70, 133}},  // more than a tile of any kernel
    {"every token a document", 1, 9, {1, 2, 3, 4, 5, 6, 7, 8}},
};

// lse and delta near those of a forward pass over the other inputs (qkv, positions, dout, lse, delta). Both are moved:
// with one key the true ds is 0 and p is 1, which leaves only rounding errors to compare, and sums of bf16 that are
// ties.
inline void set_lse_and_delta(const abi::Attention& p, Operands inputs) {
  std::vector<Buffer> forward = evaluate(OpId::attention, Parameters(p), {inputs[0], inputs[1]});
  const abi::AttentionDelta delta{0, p.sequence_length, p.q_heads, p.head_dim};
  std::vector<Buffer> d = evaluate(OpId::attention_delta, Parameters(delta), {inputs[2], forward[0].view()});
  for (uint64_t i = 0; i < inputs[3].size(); ++i) {
    inputs[3].set(i, forward[1].view().get(i) + 0.1);
    inputs[4].set(i, d[0].view().get(i) + 0.5);
  }
}

inline abi::Attention attention_of(const Heads& h, const Sequences& s) {
  return {0, uint32_t(s.length), h.q, h.kv, h.dim, float(1 / std::sqrt(double(h.dim)))};
}

// The cases of an op of the backward pass. in_place: dqkv is an input too, else the op writes only a part of it.
inline void add_attention_backward(Cases& cases, bool in_place) {
  for (DType dtype : kFloats)
    for (const Heads& h : kHeads)
      for (const Sequences& s : kSequences) {
        const abi::Attention p = attention_of(h, s);
        const uint64_t rows = s.batch * s.length;
        const Input stats = in(DType::f32, {s.batch, h.q, s.length});
        std::vector<Input> inputs = {in(dtype, {rows, h.width()}),
                                     in(DType::i32, {rows}, positions(s.length, s.starts)),
                                     in(dtype, {rows, uint64_t(h.q) * h.dim}), stats, stats};
        if (in_place) inputs.push_back(in(dtype, {rows, h.width()}));
        cases
            .add(fmt::format("{} {} {}", name_of(dtype), s.name, h.text()),
                 abi::AttentionBackward{0, p.sequence_length, p.q_heads, p.kv_heads, p.head_dim, p.scale},
                 std::move(inputs))
            .with([p](Operands i) { set_lse_and_delta(p, i); });
      }
}

}  // namespace tandem::test
