// Reference: swiglu's gradient in f64, rounded to bf16; scale and codes by search (tests/support/quantized.h).
#include "core/abi/swiglu_backward_quantize.h"
#include "tests/support/evaluate.h"
#include "tests/support/quantized.h"

namespace tandem::test {
namespace {

void reference(const abi::SwigluBackwardQuantize& p, Operands o) {
  Buffer gradient = make_buffer({DType::bf16, {p.rows, 2 * p.columns}});
  Tensor dx = gradient.view();
  for (uint64_t r = 0; r < p.rows; ++r)
    for (uint64_t c = 0; c < p.columns; ++c) {
      const uint64_t gate_at = 2 * r * p.columns + c, up_at = gate_at + p.columns;
      const double dy = o[0].get(r * p.columns + c), gate = o[1].get(gate_at), up = o[1].get(up_at);
      const double sigmoid = 1 / (1 + std::exp(-gate));
      dx.set(gate_at, dy * up * (sigmoid * (1 + gate * (1 - sigmoid))));
      dx.set(up_at, dy * (gate / (1 + std::exp(-gate))));
    }
  reference_result(dx, p.scale, o.subspan(2));
}

void cases(Cases& cases) {
  const abi::SwigluBackwardQuantize guessed{0, 0, abi::kScaleGuessed}, checked{0, 0, abi::kScaleChecked};
  for (Shape dy : {Shape{16, 16}, Shape{48, 80}, Shape{144, 272}}) {
    const Shape x{dy[0], 2 * dy[1]};
    const std::vector<Input> own = {in(DType::bf16, dy), in(DType::bf16, x, normal(3))};
    cases.add(fmt::format("guessed {}", dy), guessed, {own[0], own[1], absent(), amax_words(0, 15)});
    for (const auto& [what, guess] : {std::pair{"right", 17.0f}, {"wrong", 40.0f}})
      cases.add(
          fmt::format("checked, {} guess, {}", what, dy), checked,
          {own[0], own[1], amax_words(20, guess), in(DType::e4m3, x, codes()), in(DType::e4m3, {x[1], x[0]}, codes())});
  }
  for (const float guess : {0.0f, NAN, 1e20f})
    cases.add(fmt::format("guessed {}, odd rows", guess), guessed,
              {in(DType::bf16, {16, 32}), in(DType::bf16, {16, 64}, odd_rows()), absent(), amax_words(0, guess)});
}

}  // namespace

OP_CASES(swiglu_backward_quantize, abi::SwigluBackwardQuantize)

}  // namespace tandem::test
