// Reference: docs/numerics.md by the letter. Moments in f32 operations, codes from quotients in f64, which are exact
// there, the update in f64. The codes' values are held against NumPy's in tests/base/state_codes.cpp.
#include "core/abi/adamw_8bit.h"

#include "tests/ops/code_reference.h"
#include "tests/ops/random_word.h"
#include "tests/ops/update_words.h"

namespace tandem::test {
namespace {

struct Element {
  float m, v;
};

Element moments_of(const abi::Adamw8bit& p, float g, float m, float v) {
  const float square = g * g;
  return {moment_of(p.beta1, p.one_minus_beta1, m, g),
          moment_of(p.beta2, p.one_minus_beta2, v, normal_or_zero(square))};
}

double moved(const abi::Adamw8bit& p, const WordsOfUpdate& words, double x, const Element& e) {
  const double rate = words.number(0);
  x -= rate * double(p.decay) * x;
  return x - rate * (double(e.m) / words.number(2)) / (std::sqrt(double(e.v)) / words.number(3) + double(p.epsilon));
}

void store_parameter(const abi::Adamw8bit& p, Operands o, uint64_t i, const Element& e, uint32_t word) {
  Tensor &parameter = o[2], &master = o[7];
  const WordsOfUpdate words(o[1], p.segments, p.by_segment, i);
  if (p.has_master) {
    master.set(i, moved(p, words, master.get(i), e));
    return parameter.set(i, master.get(i));
  }
  parameter.set_bits(i, abi::bf16_from_f32_stochastic(float(moved(p, words, parameter.get(i), e)), word));
}

// elements first ... first + count - 1, which are block `block`
void update_block(const abi::Adamw8bit& p, Operands o, uint64_t block, uint64_t first, uint64_t count) {
  const Tensor &gradient = o[0], &update = o[1];
  Tensor &m = o[3], &m_scale = o[4], &v = o[5], &v_scale = o[6];
  const WordsOfUpdate words(update, p.segments, p.by_segment, first);
  if (words.skipped()) return;
  const RandomKey key{update.u32(6), update.u32(7), update.u32(5), update.u32(8)};
  const double m_unit = std::ldexp(1.0, 127 - int(m_scale.bits(block)));
  const double v_unit = std::ldexp(1.0, 127 - int(v_scale.bits(block)));
  std::vector<Element> next;
  double m_amax = 0, v_amax = 0;
  for (uint64_t i = first; i < first + count; ++i) {
    const float g = float(gradient.get(i)) * float(words.number(1));
    next.push_back(moments_of(p, g, float(m.get(i) * m_unit), float(v.get(i) * v_unit)));
    m_amax = std::max(m_amax, std::abs(double(next.back().m)));
    v_amax = std::max(v_amax, double(next.back().v));
  }
  const int m_k = exponent_of_scale(kFirst, m_amax), v_k = exponent_of_scale(kSecond, v_amax);
  m_scale.set_bits(block, uint32_t(m_k + 127));
  v_scale.set_bits(block, uint32_t(v_k + 127));
  for (uint64_t i = first; i < first + count; ++i) {
    const Element& e = next[i - first];
    m.set_bits(i, code_of(kFirst, e.m, m_k, random_word(p.segments, key, i, 1)));
    v.set_bits(i, code_of(kSecond, e.v, v_k, random_word(p.segments, key, i, 2)));
    store_parameter(p, o, i, e, random_word(p.segments, key, i, 0));
  }
}

void reference(const abi::Adamw8bit& p, Operands o) {
  const uint64_t blocks = (p.columns + kBlock - 1) / kBlock;
  for (uint64_t row = 0; row < p.rows; ++row)
    for (uint64_t j = 0; j < blocks; ++j)
      update_block(p, o, row * blocks + j, row * p.columns + j * kBlock,
                   std::min<uint64_t>(kBlock, p.columns - j * kBlock));
}

abi::Adamw8bit parameters(double beta2 = 0.95) {
  abi::Adamw8bit p{};
  p.beta1 = 0.9f;
  p.beta2 = float(beta2);
  p.one_minus_beta1 = 1 - p.beta1;
  p.one_minus_beta2 = 1 - p.beta2;
  p.epsilon = 1e-8f;
  p.decay = 0.1f;
  p.segments.count = 1;
  p.segments.tensor[0] = 7;
  return p;
}

struct Start {
  Filler gradient = normal();
  Filler m = codes(), m_scale = integers(127 + 8, 127 + 14), v = codes(), v_scale = integers(127 + 2, 127 + 9);
};
Start zero_states(Filler gradient) {
  return {std::move(gradient), words({}), zeros(), words({}), zeros()};
}

void add(Cases& cases, const std::string& name, DType gradient, bool has_master, Shape shape, const Start& start,
         const abi::Adamw8bit& p = parameters(), const Input& words = update_words(0)) {
  const Shape scales{shape[0], (shape[1] + kBlock - 1) / kBlock};
  std::vector<Input> list{in(gradient, shape, start.gradient),
                          words,
                          in(DType::bf16, shape),
                          in(DType::e4m3, shape, start.m),
                          in(DType::u8, scales, start.m_scale),
                          in(DType::e5m3, shape, start.v),
                          in(DType::u8, scales, start.v_scale)};
  if (has_master) list.push_back(in(DType::f32, shape));
  cases.add(fmt::format("g {}{} {} {}", name_of(gradient), has_master ? " master" : "", shape, name), p,
            std::move(list));
}

void cases(Cases& cases) {
  const Start ordinary;
  Start largest, least;
  largest.m_scale = constant(127 - 63), largest.v_scale = constant(127 - 126), largest.gradient = normal(0x1p50);
  least.m_scale = constant(127 + 63), least.v_scale = constant(127 + 93), least.gradient = normal(0x1p-60);
  for (const DType gradient : kFloats)
    for (const bool has_master : {false, true}) {
      const auto one = [&](const std::string& name, Shape shape, const Start& start,
                           const abi::Adamw8bit& p = parameters(), const Input& words = update_words(0)) {
        add(cases, name, gradient, has_master, shape, start, p, words);
      };
      for (const Shape& shape : {Shape{1, 8}, Shape{5, 24}, Shape{3, 128}, Shape{37, 136}, Shape{2, 3584}})
        one("ordinary", shape, ordinary);
      one("from zeros", {3, 136}, zero_states(normal()));
      one("zeros", {5, 24}, zero_states(zeros()));
      one("hostile", {2, 1304}, zero_states(hostile()));
      one("hostile, onto states", {3, 1304}, {.gradient = hostile()}, parameters(0.999));
      one("largest states", {2, 136}, largest);
      one("least states", {2, 136}, least);
      one("skipped", {2, 136}, {.gradient = put(normal(), {{3, NAN}})}, parameters(), update_words(1));
      abi::Adamw8bit stacked = parameters();
      stacked.segments = {.count = 3, .begin = {0, 30, 32}, .tensor = {3, 1, 900}};
      one("three segments", {25, 8}, ordinary, stacked);
      for (const uint32_t skipped : {0u, 5u})
        one(fmt::format("words by segment, skipped {:03b}", skipped), {25, 8}, ordinary, stacked,
            update_words_of_segments(3, skipped));
      stacked.segments = {.first = 68, .rank_stride = 34 * 3, .count = 3, .begin = {0, 136, 170}, .tensor = {3, 1, 9}};
      for (const uint32_t rank : {0u, 1u, 3u})
        one(fmt::format("rank {} of three segments", rank), {3, 136}, ordinary, stacked, update_words(0, 0.5, rank)),
            one(fmt::format("rank {}, words by segment", rank), {3, 136}, ordinary, stacked,
                update_words_of_segments(3, 2, rank));
    }
}

}  // namespace

OP_CASES(adamw_8bit, abi::Adamw8bit)

}  // namespace tandem::test
