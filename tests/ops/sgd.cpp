// Reference: the update in f64, then stored. Source: torch.optim.SGD without momentum, with decoupled decay first;
// stochastic rounding by the definition in docs/numerics.md.
#include "core/abi/sgd.h"

#include "tests/ops/random_word.h"
#include "tests/ops/update_words.h"

namespace tandem::test {
namespace {

void reference(const abi::Sgd& p, Operands o) {
  const Tensor &gradient = o[0], &update = o[1];
  Tensor &parameter = o[2], &master = o[3];
  const RandomKey key{update.u32(6), update.u32(7), update.u32(5), update.u32(8)};
  for (uint64_t i = 0; i < p.count; ++i) {
    const WordsOfUpdate words(update, p.segments, p.by_segment, i);
    if (words.skipped()) continue;
    double w = (p.has_master ? master : parameter).get(i);
    w -= words.number(0) * double(p.decay) * w;
    w -= words.number(0) * gradient.get(i) * words.number(1);
    if (p.has_master) master.set(i, w), parameter.set(i, master.get(i));
    else if (parameter.dtype() != DType::bf16) parameter.set(i, w);
    else parameter.set_bits(i, abi::bf16_from_f32_stochastic(float(w), random_word(p.segments, key, i, 0)));
  }
}

void cases(Cases& cases) {
  for (const UpdateTypes& t : kUpdateTypes) {
    const abi::Sgd p{.decay = 0.1f, .segments = {.count = 1, .tensor = {7}}};
    const auto add = [&](const std::string& what, const abi::Sgd& parameters, Shape shape, const Input& update,
                         Filler g = normal()) {
      std::vector<Input> inputs{in(t.gradient, shape, std::move(g)), update, in(t.p, shape)};
      if (t.master) inputs.push_back(in(DType::f32, shape));
      cases.add(fmt::format("{} {} {}", t.text(), shape, what), parameters, std::move(inputs));
    };
    for (Shape shape : {Shape{8}, Shape{13}, Shape{40, 48}, Shape{1003, 8}}) add("", p, shape, update_words(0));
    add("skipped", p, {40}, update_words(1), put(normal(), {{3, NAN}}));
    abi::Sgd stacked = p;
    stacked.segments = {.count = 3, .begin = {0, 1, 5}, .tensor = {3, 1, 900}};
    add("three segments", stacked, {7, 4}, update_words(0));
    for (const uint32_t skipped : {0u, 1u, 6u})
      add(fmt::format("words by segment, skipped {:03b}", skipped), stacked, {25, 8},
          update_words_of_segments(3, skipped));
    stacked.segments = {.first = 7, .rank_stride = 10, .count = 3, .begin = {0, 30, 38}, .tensor = {3, 1, 900}};
    for (const uint32_t rank : {0u, 1u, 3u}) {
      add(fmt::format("rank {}", rank), stacked, {10, 4}, update_words(0, 0.5, rank));
      add(fmt::format("rank {}, words by segment", rank), stacked, {10, 4}, update_words_of_segments(3, 2, rank));
    }
  }
}

}  // namespace

OP_CASES(sgd, abi::Sgd)

}  // namespace tandem::test
