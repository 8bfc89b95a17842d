// Muon: Jordan et al. 2024, "Muon: An optimizer for hidden layers in neural networks"; the scale of Liu et al. 2025
// (arXiv 2502.16982). Each stored matrix inside a layer is updated by its momentum, orthogonalized by five
// Newton-Schulz steps; embedding, head and vectors by AdamW, in the same step (docs/muon.md).
#pragma once

#include "core/optimizer/optimizer.h"

namespace tandem {

std::unique_ptr<Optimizer> make_muon(const OptimizerOptions& options, const Precision& precision);

}  // namespace tandem
