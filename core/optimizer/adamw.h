// AdamW: Loshchilov and Hutter 2019 (arXiv 1711.05101), with PyTorch's order of operations (docs/numerics.md).
#pragma once

#include "core/optimizer/optimizer.h"

namespace tandem {

std::unique_ptr<Optimizer> make_adamw(const OptimizerOptions& options, const Precision& precision);

}  // namespace tandem
