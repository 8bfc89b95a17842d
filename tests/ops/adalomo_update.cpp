// Reference: the update in f64, then stored; stochastic rounding by the definition in docs/numerics.md.
#include "core/abi/adalomo_update.h"

#include "tests/ops/random_word.h"
#include "tests/ops/update_words.h"

namespace tandem::test {
namespace {

void reference(const abi::AdalomoUpdate& p, Operands o) {
  const Tensor &gradient = o[0], &update = o[1], &column_factors = o[2], &row_factors = o[3], &rates = o[4];
  Tensor &parameter = o[5], &master = o[6];
  const uint64_t words = uint64_t(p.update_row) * abi::kTensorWords;
  if (update.u32(words + 4)) return;
  const RandomKey key{update.u32(words + 6), update.u32(words + 7), update.u32(words + 5), 0};
  const abi::Segments whole{.count = 1, .tensor = {p.tensor}};
  const double coefficient = double(update.word_as_float(words + 1));
  for (uint64_t i = 0; i < uint64_t(p.rows) * p.columns; ++i) {
    const uint64_t at = 4 * uint64_t(p.first) + i;
    double w = (p.has_master ? master : parameter).get(at);
    w -= rates.get(0) * double(p.decay) * w;
    w -= rates.get(1) * coefficient * gradient.get(at) * column_factors.get(i % p.columns) *
         (row_factors.present() ? row_factors.get(i / p.columns) : 1);
    if (p.has_master) master.set(at, w), parameter.set(at, master.get(at));
    else if (parameter.dtype() != DType::bf16) parameter.set(at, w);
    else parameter.set_bits(at, abi::bf16_from_f32_stochastic(float(w), random_word(whole, key, i, 0)));
  }
}

void cases(Cases& cases) {
  for (const UpdateTypes& t : kUpdateTypes) {
    const auto add = [&](const char* what, abi::AdalomoUpdate p, Shape part, Shape whole, const Input& update,
                         Filler g = normal()) {
      p.tensor = 7;
      p.decay = 0.1f;
      std::vector<Input> inputs{in(t.gradient, whole, std::move(g)),
                                update,
                                in(DType::f32, {part.back()}),
                                whole.rank() == 1 ? absent() : in(DType::f32, {part[0]}),
                                in(DType::f32, {2}, put(zeros(), {{0, 3e-2}, {1, 2e-2}})),
                                in(t.p, whole)};
      if (t.master) inputs.push_back(in(DType::f32, whole));
      cases.add(fmt::format("{} {} {}", t.text(), part, what), p, std::move(inputs));
    };
    const abi::AdalomoUpdate p{};
    for (Shape shape : {Shape{24, 40}, Shape{1, 4}, Shape{1003, 72}, Shape{16, 516}, Shape{8}, Shape{1032}})
      add("", p, shape, shape, update_words(0));
    add("skipped", p, {24, 40}, {24, 40}, update_words(1), put(normal(), {{3, NAN}}));
    add("a part", {.first = 65}, {13, 20}, {27, 20}, update_words(0));
    add("a part of a vector", {.first = 3}, {20}, {40}, update_words(0));
    for (const uint32_t skipped : {0u, 4u})
      add(skipped ? "tensor 2 of 3, skipped" : "tensor 2 of 3", {.first = 65, .update_row = 2}, {13, 20}, {27, 20},
          update_words_of_segments(3, skipped));
  }
}

}  // namespace

OP_CASES(adalomo_update, abi::AdalomoUpdate)

}  // namespace tandem::test
