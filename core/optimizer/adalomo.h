// AdaLomo: Lv et al. 2023 (arXiv 2310.10195). Each stored tensor moves by its gradient over the roots of its running
// mean squares, which are kept by row and by column alone, and as far as it is large itself: SGD's memory, Adam's
// adaption. It keeps no other state but a master (docs/adalomo.md).
#pragma once

#include "core/optimizer/optimizer.h"

namespace tandem {

std::unique_ptr<Optimizer> make_adalomo(const OptimizerOptions& options, const Precision& precision);

}  // namespace tandem
