// SGD without momentum, for gradients that are released (LOMO: Lv et al. 2023, arXiv 2306.09782): decoupled decay, then
// the step. It keeps no state but a master.
#pragma once

#include "core/optimizer/optimizer.h"

namespace tandem {

std::unique_ptr<Optimizer> make_sgd(const OptimizerOptions& options, const Precision& precision);

}  // namespace tandem
