// A run on disk: its directory, metrics and checkpoints, and where it stands. Of several ranks the root alone has what
// is on disk; where the run stands, all know.
#pragma once

#include <memory>
#include <optional>

#include "core/base/background.h"
#include "core/run/engine.h"
#include "core/run/metrics.h"
#include "core/run/progress.h"
#include "core/run/saved_state.h"
#include "core/run/signals.h"
#include "core/run/train.h"

namespace tandem {

// The step whose instructions are timed, counted from 0, and the file for its trace; empty: none is.
struct ProfiledStep {
  std::string file;
  uint64_t step = 0;
};

// Where a run's checkpoints stand.
struct Saves {
  std::optional<uint64_t> newest;  // the step of the newest one, which may still be on its way to the disk
  bool unproven = false;           // no step was done since the newest one, which this process wrote
  std::optional<double> seconds, write_seconds;  // since the last step's line; see StepMetrics
  StateCopy copy;                                // the root's, of which a checkpoint is written
  std::unique_ptr<Background> writer;            // the root's; last: it works on the copy
};

struct Run {
  const RunConfig& config;
  Signals& signals;
  RunInputs inputs;
  std::unique_ptr<MetricsWriter> metrics;  // the root's
  Progress progress;
  ProfiledStep profile;
  StartTimes times;
  Position position;
  bool evaluated = false;  // at the step resumed from
  Saves saves;             // last: its writer works on all of the above

  bool root() const { return metrics != nullptr; }
  const RunDirectory& directory() const { return *inputs.directory; }  // the root's
};

// Makes the run directory, or goes on in the checkpoint's, now that all was checked: config.toml, plan.json and
// metrics.jsonl. options: profile is a file for the trace of a step; empty: none. times: what the start took so far.
Run start_run(const RunConfig& config, Signals& signals, const TrainOptions& options, const Engine& engine,
              RunInputs inputs, StartTimes times);

// Trains to the last step and writes the model; what it returns and throws: see train.
Exit train_steps(Run& run, Engine& engine);

}  // namespace tandem
