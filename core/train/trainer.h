// `tandem train`: from a configuration to a run directory with metrics and a final model.
#pragma once

#include "core/runtime/registry.h"
#include "core/train/config.h"

namespace tandem {

// Checks everything (config, model, data, device, plan) before it creates the run directory, then trains.
// Exit::diverged after run.max_skipped steps in a row whose loss or gradient norm is not finite.
Exit train(const RunConfig& config, const Registry& registry);

}  // namespace tandem
