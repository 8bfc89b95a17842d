// Reference: f64. Source: AdamW's corrections, arXiv 1711.05101.
#include "core/abi/adamw_corrections.h"

#include "core/abi/step_scalars.h"
#include "tests/support/op_case.h"

namespace tandem::test {
namespace {

double correction(double log_beta, uint32_t t) {
  return log_beta == 0 ? 1 : -std::expm1(t * log_beta);
}

void reference(const abi::AdamwCorrections& p, Operands o) {
  const Tensor& verdict = o[0];
  Tensor& update = o[1];
  for (uint64_t first = 0; first < verdict.size(); first += abi::kTensorWords) {
    const uint32_t updates = verdict.u32(first + 6);
    for (uint64_t i = 0; i < 2; ++i) update.set_bits(first + i, verdict.u32(first + i));  // learning rate, coefficient
    update.set_word(first + 2, float(correction(double(p.log_beta1), updates)));
    update.set_word(first + 3, float(std::sqrt(correction(double(p.log_beta2), updates))));
    for (uint64_t i = 0; i < 4; ++i) update.set_bits(first + 4 + i, verdict.u32(first + 2 + i));  // skipped, step, seed
    update.set_bits(first + 8, verdict.u32(first + 7));                                           // rank
    update.set_bits(first + 9, updates);
  }
}

// (3, 64), each tensor after another number of updates
Filler verdicts_of_tensors() {
  return [](Tensor& x, Random& random) {
    for (uint32_t tensor = 0; tensor < 3; ++tensor) {
      const uint64_t first = tensor * abi::kTensorWords;
      for (uint64_t i = 0; i < 8; ++i) x.set_bits(first + i, uint32_t(random.below(1000)));
      x.set_bits(first + 1, abi::float_bits(1 / (1 + float(tensor))));
      x.set_bits(first + 6, 1 + 40 * tensor);
    }
  };
}

void cases(Cases& cases) {
  cases.add("tensors", abi::AdamwCorrections{float(std::log(0.9)), float(std::log(0.95))},
            {in(DType::u32, {3, abi::kTensorWords}, verdicts_of_tensors())});
  for (const uint32_t updates : {1u, 2u, 7u, 1000u, 100000u})
    for (const double beta1 : {0.9, 0.0, 0.5})
      for (const uint32_t skipped : {0u, 1u}) {
        const abi::AdamwCorrections p{beta1 == 0 ? 0 : float(std::log(beta1)), float(std::log(0.95))};
        const Filler verdict =
            words({abi::float_bits(3e-4f), abi::float_bits(0.5f), skipped, 17, 0x12345678u, 0x9abcdef0u, updates, 3});
        cases.add(fmt::format("{} updates, beta1 {}, skipped {}", updates, beta1, skipped), p,
                  {in(DType::u32, {16}, verdict)});
      }
}

}  // namespace

OP_CASES(adamw_corrections, abi::AdamwCorrections)

}  // namespace tandem::test
