// `tandem train`: from a configuration to a run directory with metrics, checkpoints and a final model.
#pragma once

#include "core/run/config.h"
#include "core/runtime/registry.h"

namespace tandem {

struct TrainOptions {
  bool resume = false;
  std::string profile;          // a file for the trace of one step, see step_profile.h; empty: none
  std::string build;            // equal for programs of one build, which alone run together as ranks
  std::string version, commit;  // the program's, for plan.json
  std::string choices;          // "default" or a file, see choices.h; empty: kernels are timed, or taken from the cache
};

// Checks everything (config, model, data, device, plan) before it creates the run directory, then trains. With resume
// it goes on from the newest checkpoint that verifies, to the bit; Exit::input when there is none.
// Returns Exit::interrupted when SIGTERM, SIGINT or SIGHUP stopped it after a save. Exit::diverged after
// run.max_skipped steps in a row whose loss or gradient norm is not finite; the checkpoints before that stay.
Exit train(const RunConfig& config, const Registry& registry, const TrainOptions& options);

}  // namespace tandem
