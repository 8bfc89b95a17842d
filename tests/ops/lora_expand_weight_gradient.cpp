// Reference: the definition, sums in f64, added to the old gradient and rounded once.
#include "core/abi/lora_expand_weight_gradient.h"

#include "tests/ops/lora_parts.h"

namespace tandem::test {
namespace {

void reference(const abi::LoraExpandWeightGradient& p, Operands o) {
  const Tensor &dy = o[0], &t = o[1];
  Tensor& g = o[2];
  uint64_t row = 0;
  for (uint64_t part = 0; part < p.parts.count; ++part)
    for (uint64_t j = 0; j < p.parts.columns[part]; ++j, ++row)
      for (uint64_t k = 0; k < p.rank; ++k) {
        double sum = 0;
        for (uint64_t r = 0; r < p.rows; ++r)
          sum += dy.get(r * p.ldc + p.parts.first[part] + j) * t.get((r * p.parts.count + part) * p.rank + k);
        g.set(row * p.rank + k, g.get(row * p.rank + k) + double(p.scale) * sum);
      }
}

void cases(Cases& cases) {
  for (DType dtype : kFloats)
    for (DType gradient : kFloats) {
      if (dtype == DType::f32 && gradient != DType::f32) continue;
      for (const LoraCase& l : lora_cases())
        cases.add(fmt::format("{} into {} {}", name_of(dtype), name_of(gradient), l.name),
                  abi::LoraExpandWeightGradient{.rank = l.rank, .scale = 2.5f, .parts = l.parts},
                  {in(dtype, {l.rows, l.ldc}), in(dtype, {l.rows, l.width()}), in(gradient, {l.rows_of_b(), l.rank})});
    }
}

}  // namespace

OP_CASES(lora_expand_weight_gradient, abi::LoraExpandWeightGradient)

}  // namespace tandem::test
