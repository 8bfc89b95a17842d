// Reference: the definition, sums in f64, rounded once.
#include "core/abi/lora_expand_backward.h"

#include "tests/ops/lora_parts.h"

namespace tandem::test {
namespace {

void reference(const abi::LoraExpandBackward& p, Operands o) {
  const Tensor &dy = o[0], &b = o[1];
  Tensor& dt = o[2];
  uint64_t row = 0;
  for (uint64_t part = 0; part < p.parts.count; row += p.parts.columns[part++])
    for (uint64_t r = 0; r < p.rows; ++r)
      for (uint64_t k = 0; k < p.rank; ++k) {
        double sum = 0;
        for (uint64_t j = 0; j < p.parts.columns[part]; ++j)
          sum += dy.get(r * p.ldc + p.parts.first[part] + j) * b.get((row + j) * p.rank + k);
        dt.set((r * p.parts.count + part) * p.rank + k, double(p.scale) * sum);
      }
}

void cases(Cases& cases) {
  for (DType dtype : kFloats)
    for (const LoraCase& l : lora_cases())
      cases.add(fmt::format("{} {}", name_of(dtype), l.name),
                abi::LoraExpandBackward{.rank = l.rank, .scale = 0.625f, .parts = l.parts},
                {in(dtype, {l.rows, l.ldc}), in(dtype, {l.rows_of_b(), l.rank})});
}

}  // namespace

OP_CASES(lora_expand_backward, abi::LoraExpandBackward)

}  // namespace tandem::test
