// Reference: swiglu in f64, rounded to bf16; scale and codes by search (tests/support/quantized.h).
#include "core/abi/swiglu_quantize.h"
#include "tests/support/evaluate.h"
#include "tests/support/quantized.h"

namespace tandem::test {
namespace {

void reference(const abi::SwigluQuantize& p, Operands o) {
  Buffer product = make_buffer({DType::bf16, {p.rows, p.columns}});
  Tensor y = product.view();
  for (uint64_t r = 0; r < p.rows; ++r)
    for (uint64_t c = 0; c < p.columns; ++c) {
      const double gate = o[0].get(2 * r * p.columns + c), up = o[0].get((2 * r + 1) * p.columns + c);
      y.set(r * p.columns + c, gate / (1 + std::exp(-gate)) * up);
    }
  reference_result(y, p.scale, o.subspan(1));
}

void cases(Cases& cases) {
  const auto copies = [](Shape x, bool q, bool qt) {
    std::vector<Input> inputs;
    if (q) inputs.push_back(in(DType::e4m3, {x[0], x[1] / 2}, codes()));
    if (qt) inputs.push_back(in(DType::e4m3, {x[1] / 2, x[0]}, codes()));
    return inputs;
  };
  for (Shape x : {Shape{16, 32}, Shape{48, 160}, Shape{144, 544}}) {
    for (const bool qt : {false, true}) {
      const Input values = in(DType::bf16, x, normal(3));
      const std::string name = fmt::format("{}{}", x, qt ? " with qt" : "");
      cases.add("guessed " + name, abi::SwigluQuantize{0, 0, 1, qt, abi::kScaleGuessed},
                {values, absent(), amax_words(0, 40)});
      for (const auto& [what, guess] : {std::pair{"right", 17.0f}, {"wrong", 40.0f}}) {
        std::vector<Input> inputs = {values, amax_words(20, guess)};
        for (Input& copy : copies(x, true, qt)) inputs.push_back(std::move(copy));
        cases.add(fmt::format("checked, {} guess, {}", what, name),
                  abi::SwigluQuantize{0, 0, 1, qt, abi::kScaleChecked}, inputs);
      }
      cases.add("known " + name, abi::SwigluQuantize{0, 0, 1, qt, abi::kScaleKnown}, {values, amax_words(20, 1)});
    }
    cases.add(fmt::format("known, qt alone, {}", x), abi::SwigluQuantize{0, 0, 0, 1, abi::kScaleKnown},
              {in(DType::bf16, x, normal(3)), amax_words(20, 1)});
  }
  const Shape x{16, 64};
  for (const float guess : {0.0f, INFINITY, NAN, 1e-30f})
    cases.add(fmt::format("guessed {}", guess), abi::SwigluQuantize{0, 0, 1, 1, abi::kScaleGuessed},
              {in(DType::bf16, x, odd_rows()), absent(), amax_words(0, guess)});
  for (const auto& [amax, guess] : {std::pair{NAN, 0.0f}, {0.0f, NAN}, {INFINITY, NAN}}) {
    std::vector<Input> inputs = {in(DType::bf16, x), amax_words(amax, guess)};
    for (Input& copy : copies(x, true, true)) inputs.push_back(std::move(copy));
    cases.add(fmt::format("checked {} under {}", amax, guess), abi::SwigluQuantize{0, 0, 1, 1, abi::kScaleChecked},
              inputs);
  }
}

}  // namespace

OP_CASES(swiglu_quantize, abi::SwigluQuantize)

}  // namespace tandem::test
