// Reference: f64. Source: torch.nn.utils.clip_grad_norm_ on one tensor.
#include "core/abi/tensor_verdict.h"

#include "core/abi/step_scalars.h"
#include "tests/support/op_case.h"

namespace tandem::test {
namespace {

void reference(const abi::TensorVerdict& p, Operands o) {
  const Tensor &scalars = o[2], &last_norm = o[4];
  Tensor &verdict = o[5], &squares = o[6];
  double sum = 0;
  for (uint64_t i = 0; i < p.count; ++i) sum += o[0].get(i);
  const float norm = float(std::sqrt(sum)), loss = float(o[1].get(0) * double(scalars.word_as_float(1)));
  const bool counts = std::isfinite(loss) && scalars.u32(5) > 0;
  const double by = last_norm.present() ? last_norm.get(0) : double(norm), clip = double(p.grad_clip);
  const bool clips = clip != 0 && !(last_norm.present() && by == 0);
  for (uint64_t i = 0; i < verdict.size(); ++i) verdict.set_bits(i, 0);
  for (uint64_t i = 0; i < squares.size(); ++i) squares.set(i, i == 0 ? sum : 0);
  verdict.set_bits(0, scalars.u32(0));
  verdict.set_word(1, clips ? float(std::min(1.0, clip / (by + 1e-6))) : 1);
  verdict.set_bits(2, !counts || !std::isfinite(norm));
  for (uint64_t i = 0; i < 3; ++i) verdict.set_bits(3 + i, scalars.u32(2 + i));  // step, seed
  verdict.set_bits(6, o[3].u32(0) + counts);
  verdict.set_bits(7, scalars.u32(6));  // rank
}

uint32_t bits(double x) {
  return abi::float_bits(float(x));
}

struct Step {
  const char* name;
  double grad_clip = 1, loss = 40, inverse_targets = 0.0625;
  Filler partials = normal(0.01, 0.1);
  uint32_t targets = 16, updates = 6;
  uint64_t count = 320;
};

void cases(Cases& cases) {
  const std::vector<Step> steps = {
      {.name = "clipped"},
      {.name = "not clipped", .grad_clip = 1000},
      {.name = "no clipping", .grad_clip = 0},
      {.name = "first update", .updates = 0},
      {.name = "one partial", .count = 1},
      {.name = "many partials", .count = 8320},
      {.name = "zero gradient", .partials = zeros()},
      {.name = "NaN gradient", .partials = put(zeros(), {{5, NAN}})},
      {.name = "inf gradient", .partials = put(zeros(), {{319, INFINITY}})},
      {.name = "NaN loss", .loss = NAN},
      {.name = "inf loss", .loss = INFINITY},
      {.name = "no targets", .loss = 0, .inverse_targets = 0, .targets = 0},
  };
  for (const Step& s : steps)
    for (const double last : {-1.0, 0.0, 0.5, 3.0})  // -1: there is none
      cases.add(last < 0 ? s.name : fmt::format("{}, last norm {}", s.name, last),
                abi::TensorVerdict{.grad_clip = float(s.grad_clip)},
                {in(DType::f32, {s.count}, s.partials), in(DType::f32, {1}, constant(s.loss)),
                 in(DType::u32, {16},
                    words({bits(3e-4), bits(s.inverse_targets), 17, 0x12345678u, 0x9abcdef0u, s.targets, 3})),
                 in(DType::u32, {1}, words({s.updates})), last < 0 ? absent() : in(DType::f32, {1}, constant(last))});
}

}  // namespace

OP_CASES(tensor_verdict, abi::TensorVerdict)

}  // namespace tandem::test
