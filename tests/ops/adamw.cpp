// Reference: the update in f64, then stored. Source: torch.optim.AdamW; stochastic rounding by the definition in
// docs/numerics.md.
#include "core/abi/adamw.h"

#include "tests/ops/random_word.h"
#include "tests/ops/update_words.h"

namespace tandem::test {
namespace {

void store(const abi::AdamW& p, const Tensor& update, Tensor& x, uint64_t i, double value, uint32_t stream) {
  if (x.dtype() != DType::bf16) return x.set(i, value);
  const RandomKey key{update.u32(6), update.u32(7), update.u32(5), update.u32(8)};
  x.set_bits(i, abi::bf16_from_f32_stochastic(float(value), random_word(p.segments, key, i, stream)));
}

void reference(const abi::AdamW& p, Operands o) {
  const Tensor &gradient = o[0], &update = o[1];
  Tensor &parameter = o[2], &m = o[3], &v = o[4], &master = o[5];
  for (uint64_t i = 0; i < p.count; ++i) {
    const WordsOfUpdate words(update, p.segments, p.by_segment, i);
    if (words.skipped()) continue;
    const double rate = words.number(0), correction1 = words.number(2), correction2_root = words.number(3);
    const double g = gradient.get(i) * words.number(1);
    double x = (p.has_master ? master : parameter).get(i);
    x -= rate * double(p.decay) * x;
    const double first = double(p.beta1) * m.get(i) + double(p.one_minus_beta1) * g;
    const double second = double(p.beta2) * v.get(i) + double(p.one_minus_beta2) * g * g;
    x -= rate * (first / correction1) / (std::sqrt(second) / correction2_root + double(p.epsilon));
    store(p, update, m, i, first, 1);
    store(p, update, v, i, second, 2);
    if (p.has_master) master.set(i, x);
    if (p.has_master) parameter.set(i, master.get(i));
    else store(p, update, parameter, i, x, 0);
  }
}

abi::AdamW parameters(double decay) {
  abi::AdamW p{};
  p.beta1 = 0.9f;
  p.beta2 = 0.95f;
  p.one_minus_beta1 = 1 - p.beta1;
  p.one_minus_beta2 = 1 - p.beta2;
  p.epsilon = 1e-8f;
  p.decay = float(decay);
  p.segments.count = 1;
  p.segments.tensor[0] = 7;
  return p;
}

Filler second_moment() {
  return [](Tensor& x, Random& random) {
    for (uint64_t i = 0; i < x.size(); ++i) x.set(i, std::pow(0.1 * random.normal(), 2));
  };
}

void dtype_cases(Cases& cases, DType parameter, DType gradient, DType m, DType v, bool has_master) {
  const std::string name = fmt::format("p {} g {} m {} v {}{}", name_of(parameter), name_of(gradient), name_of(m),
                                       name_of(v), has_master ? " master" : "");
  const auto inputs = [=](Shape shape, uint32_t skipped, Filler g, uint32_t rank = 0) {
    std::vector<Input> list = {in(gradient, shape, g), update_words(skipped, 0.5, rank), in(parameter, shape),
                               in(m, shape, normal(0.1)), in(v, shape, second_moment())};
    if (has_master) list.push_back(in(DType::f32, shape));
    return list;
  };
  for (Shape shape : {Shape{8}, Shape{40, 48}, Shape{1003, 8}})
    cases.add(fmt::format("{} {}", name, shape), parameters(shape.rank() == 2 ? 0.1 : 0), inputs(shape, 0, normal()));
  cases.add(name + " skipped", parameters(0.1), inputs({40}, 1, put(normal(), {{3, NAN}})));
  cases.add(name + " zero gradient", parameters(0.1), inputs({40}, 0, zeros()));
  abi::AdamW stacked = parameters(0.1);
  stacked.segments = {.count = 3, .begin = {0, 30, 32}, .tensor = {3, 1, 900}};
  cases.add(name + " three segments", stacked, inputs({25, 8}, 0, normal()));
  stacked.segments = {.count = 3, .begin = {0, 1, 5}, .tensor = {3, 1, 900}};
  cases.add(name + " segments that begin within packs", stacked, inputs({7, 4}, 0, normal()));
  const auto by_segment = [&](Shape shape, uint32_t segments, uint32_t skipped, uint32_t rank = 0) {
    std::vector<Input> list = inputs(shape, 0, normal());
    list[1] = update_words_of_segments(segments, skipped, rank);
    return list;
  };
  cases.add(name + " words by segment, in packs", stacked, by_segment({7, 4}, 3, 2));
  stacked.segments = {.count = 3, .begin = {0, 30, 32}, .tensor = {3, 1, 900}};
  for (const uint32_t skipped : {0u, 1u, 6u})
    cases.add(fmt::format("{} words by segment, skipped {:03b}", name, skipped), stacked,
              by_segment({25, 8}, 3, skipped));
  cases.add(name + " words of one segment", parameters(0.1), by_segment({40}, 1, 0));
  stacked.segments = {.first = 7, .rank_stride = 10, .count = 3, .begin = {0, 30, 38}, .tensor = {3, 1, 900}};
  for (uint32_t rank : {0u, 1u, 3u})
    cases.add(fmt::format("{} rank {} of three segments", name, rank), stacked, inputs({10, 4}, 0, normal(), rank)),
        cases.add(fmt::format("{} rank {}, words by segment", name, rank), stacked, by_segment({10, 4}, 3, 4, rank));
  stacked.segments = {
      .first = 7, .rank_stride = 0x30000000u, .count = 3, .begin = {0, 0x80000000u, 0xf0000010u}, .tensor = {3, 1, 9}};
  for (uint32_t rank : {1u, 4u, 5u})
    cases.add(fmt::format("{} rank {} of 2^34 elements", name, rank), stacked, inputs({11, 8}, 0, normal(), rank));
}

void cases(Cases& cases) {
  const DType f32 = DType::f32, bf16 = DType::bf16;
  dtype_cases(cases, f32, f32, f32, f32, false);
  for (DType gradient : kFloats)
    for (DType moments : kFloats) {
      dtype_cases(cases, bf16, gradient, moments, moments, false);
      dtype_cases(cases, bf16, gradient, moments, moments, true);
    }
}

}  // namespace

OP_CASES(adamw, abi::AdamW)

}  // namespace tandem::test
