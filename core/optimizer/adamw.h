// AdamW: Loshchilov and Hutter 2019 (arXiv 1711.05101), with PyTorch's order of operations (docs/numerics.md).
// With m in e4m3 and v in e5m3 those of matrices are codes with scales, and those of vectors f32.
#pragma once

#include "core/optimizer/optimizer.h"

namespace tandem {

std::unique_ptr<Optimizer> make_adamw(const OptimizerOptions& options, const Precision& precision);

}  // namespace tandem
