// APOLLO: Zhu et al. 2024 (arXiv 2412.05270); GaLore: Zhao et al. 2024 (arXiv 2403.03507), by a random projection. Each
// stored matrix inside a layer has Adam's moments of its projected gradient alone; embedding, head and vectors are
// AdamW's, in the same step (docs/apollo.md).
#pragma once

#include "core/optimizer/optimizer.h"

namespace tandem {

std::unique_ptr<Optimizer> make_projected(const OptimizerOptions& options, const Precision& precision);

}  // namespace tandem
