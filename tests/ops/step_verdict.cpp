// Reference: f64. Source: torch.nn.utils.clip_grad_norm_.
#include "core/abi/step_verdict.h"

#include "tests/support/op_case.h"

namespace tandem::test {
namespace {

void reference(const abi::StepVerdict& p, Operands o) {
  const Tensor &scalars = o[3], &counter = o[4];
  Tensor &verdict = o[6], &updates = o[7], &report = o[8];
  double sum = 0, loss_sum = 0, vectors = 0;
  for (uint64_t i = 0; i < p.ranks * uint64_t(p.count); ++i) sum += o[0].get(i);
  for (uint64_t i = 0; i < p.vectors; ++i) vectors += o[2].get(i);
  for (uint64_t r = 0; r < p.ranks; ++r) loss_sum += o[1].get(r);
  const float norm = float(std::sqrt(sum + vectors)), loss = float(loss_sum * double(scalars.word_as_float(1)));
  uint32_t skipped_tensors = 0;
  for (uint64_t i = 0; i < p.count && p.by_tensor; ++i) skipped_tensors += !std::isfinite(o[0].get(i));
  const bool skipped = !std::isfinite(loss) || (!p.by_tensor && !std::isfinite(norm)) || scalars.u32(5) == 0;
  if (o.size() > 9 && !skipped && std::isfinite(norm)) o[9].set(0, norm);
  if (!skipped) updates.set_bits(0, updates.u32(0) + 1);
  const double clip = double(p.grad_clip);
  verdict.set_bits(0, scalars.u32(0));
  verdict.set_word(1, clip == 0 ? 1 : float(std::min(1.0, clip / (double(norm) + 1e-6))));
  verdict.set_bits(2, skipped);
  for (uint64_t i = 0; i < 3; ++i) verdict.set_bits(3 + i, scalars.u32(2 + i));  // step, seed
  verdict.set_bits(6, updates.u32(0));
  verdict.set_bits(7, scalars.u32(6));  // rank
  const uint64_t slot = (counter.u32(0) - 1) & 1, first = 16 * slot;
  report.set_word(first, loss);
  report.set_word(first + 1, norm);
  report.set_bits(first + 2, skipped);
  report.set_bits(first + 3, updates.u32(0));
  report.set_bits(first + 4, scalars.u32(2));
  for (uint64_t i = 0; i < 2; ++i) report.set_bits(first + 5 + i, o[5].present() ? o[5].u32(i) : 0);
  report.set_bits(first + 7, skipped_tensors);
}

uint32_t bits(double x) {
  return abi::float_bits(float(x));
}

struct Step {
  const char* name;
  double grad_clip = 1, loss = 40, inverse_targets = 0.0625;
  Filler partials = normal(0.01, 0.1);
  uint32_t targets = 16, updates = 6, begins = 1;
  uint64_t count = 300, ranks = 1, vectors = 0;
  Filler vector_partials = normal(0.01, 0.1);
  Filler losses = nullptr;  // in place of loss
  bool counts = false;
  bool by_tensor = false, last_norm = false;
};

// What the first two ranks have cancels, if it is added first: else nothing is left of the others.
Filler cancelling() {
  return put(constant(4), {{0, 1e30}, {1, -1e30}});
}

void cases(Cases& cases) {
  const std::vector<Step> steps = {
      {.name = "clipped"},
      {.name = "not clipped", .grad_clip = 1000, .begins = 2},
      {.name = "no clipping", .grad_clip = 0},
      {.name = "first update", .updates = 0},
      {.name = "late", .updates = 100000},
      {.name = "one partial", .count = 1},
      {.name = "many partials", .count = 5000},
      {.name = "zero gradient", .partials = zeros()},
      {.name = "NaN gradient", .partials = put(zeros(), {{5, NAN}})},
      {.name = "inf gradient", .partials = put(zeros(), {{299, INFINITY}})},
      {.name = "NaN loss", .loss = NAN},
      {.name = "inf loss", .loss = INFINITY, .begins = 2},
      {.name = "no targets", .loss = 0, .inverse_targets = 0, .targets = 0},
      {.name = "vectors apart", .vectors = 70},
      {.name = "guesses counted", .counts = true},
      {.name = "guesses counted, vectors apart", .vectors = 70, .counts = true},
      {.name = "vectors that outnumber the rest", .count = 1, .vectors = 1500},
      {.name = "NaN in a vector", .count = 64, .ranks = 2, .vectors = 64, .vector_partials = put(zeros(), {{9, NAN}})},
      {.name = "two ranks", .ranks = 2, .vectors = 64},
      {.name = "eight ranks", .count = 1200, .ranks = 8, .vectors = 64},
      {.name = "five ranks, no vectors", .ranks = 5},
      {.name = "inf on the last rank", .partials = put(zeros(), {{3 * 300 - 1, INFINITY}}), .ranks = 3},
      {.name = "losses in the order of ranks", .ranks = 3, .losses = cancelling()},
      {.name = "squares in the order of ranks, then vectors",
       .partials = cancelling(),
       .count = 1,
       .ranks = 4,
       .vectors = 3,
       .vector_partials = constant(1)},
      {.name = "by tensor", .count = 640, .by_tensor = true},
      {.name = "by tensor, two of them not finite",
       .partials = put(normal(0.01, 0.1), {{0, NAN}, {64, INFINITY}}),
       .count = 640,
       .counts = true,
       .by_tensor = true},
      {.name = "by tensor, NaN loss", .loss = NAN, .by_tensor = true},
      {.name = "by tensor, no targets", .loss = 0, .inverse_targets = 0, .targets = 0, .by_tensor = true},
      {.name = "last norm", .by_tensor = true, .last_norm = true},
      {.name = "last norm stays: NaN gradient",
       .partials = put(zeros(), {{5, NAN}}),
       .counts = true,
       .by_tensor = true,
       .last_norm = true},
      {.name = "last norm stays: NaN loss", .loss = NAN, .by_tensor = true, .last_norm = true},
      {.name = "last norm stays: no targets",
       .loss = 0,
       .inverse_targets = 0,
       .targets = 0,
       .by_tensor = true,
       .last_norm = true},
  };
  for (const Step& s : steps) {
    const Shape partials = s.ranks == 1 ? Shape{s.count} : Shape{s.ranks, s.count};
    std::vector<Input> inputs{
        in(DType::f32, partials, s.partials),
        in(DType::f32, {s.ranks}, s.losses ? s.losses : constant(s.loss)),
        s.vectors == 0 ? absent() : in(DType::f32, {s.vectors}, s.vector_partials),
        in(DType::u32, {16}, words({bits(3e-4), bits(s.inverse_targets), 17, 0x12345678u, 0x9abcdef0u, s.targets, 3})),
        in(DType::i32, {16}, words({s.begins, 2})),
        s.counts ? in(DType::u32, {2}, words({84, 3})) : absent(),
        in(DType::u32, {1}, words({s.updates})),
        in(DType::u32, {2, 16}, integers(1, 1000))};
    if (s.last_norm) inputs.push_back(in(DType::f32, {1}, constant(0.75)));
    cases.add(s.name, abi::StepVerdict{.grad_clip = float(s.grad_clip), .by_tensor = s.by_tensor}, std::move(inputs));
  }
}

}  // namespace

OP_CASES(step_verdict, abi::StepVerdict)

}  // namespace tandem::test
