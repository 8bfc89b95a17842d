// Reference: the definition, sums in f64, rounded once. Source: Hu et al. 2021 (arXiv 2106.09685).
#include "core/abi/lora_expand.h"

#include "tests/ops/lora_parts.h"

namespace tandem::test {
namespace {

void reference(const abi::LoraExpand& p, Operands o) {
  const Tensor &t = o[0], &b = o[1];
  Tensor& c = o[2];
  for (uint64_t i = 0; i < uint64_t{p.rows} * p.ldc; ++i) c.set(i, 0);
  uint64_t row = 0;
  for (uint64_t part = 0; part < p.parts.count; ++part)
    for (uint64_t j = 0; j < p.parts.columns[part]; ++j, ++row)
      for (uint64_t r = 0; r < p.rows; ++r) {
        double sum = 0;
        for (uint64_t k = 0; k < p.rank; ++k)
          sum += t.get((r * p.parts.count + part) * p.rank + k) * b.get(row * p.rank + k);
        c.set(r * p.ldc + p.parts.first[part] + j, double(p.scale) * sum);
      }
}

void cases(Cases& cases) {
  for (DType dtype : kFloats)
    for (const LoraCase& l : lora_cases())
      cases.add(fmt::format("{} {}", name_of(dtype), l.name),
                abi::LoraExpand{.rank = l.rank, .ldc = l.ldc, .scale = 1.75f, .parts = l.parts},
                {in(dtype, {l.rows, l.width()}), in(dtype, {l.rows_of_b(), l.rank})});
}

}  // namespace

OP_CASES(lora_expand, abi::LoraExpand)

}  // namespace tandem::test
