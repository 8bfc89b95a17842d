// Reference: f64. Source: AdamW's corrections, arXiv 1711.05101.
#include "core/abi/adamw_corrections.h"

#include "tests/support/op_case.h"

namespace tandem::test {
namespace {

double correction(double log_beta, uint32_t t) {
  return log_beta == 0 ? 1 : -std::expm1(t * log_beta);
}

void reference(const abi::AdamwCorrections& p, Operands o) {
  const Tensor& verdict = o[0];
  Tensor& update = o[1];
  const uint32_t updates = verdict.u32(6);
  update.set_bits(0, verdict.u32(0));
  update.set_bits(1, verdict.u32(1));
  update.set_word(2, float(correction(double(p.log_beta1), updates)));
  update.set_word(3, float(std::sqrt(correction(double(p.log_beta2), updates))));
  for (uint64_t i = 0; i < 4; ++i) update.set_bits(4 + i, verdict.u32(2 + i));  // skipped, step, seed
  update.set_bits(8, verdict.u32(7));                                           // rank
  update.set_bits(9, updates);
}

void cases(Cases& cases) {
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
