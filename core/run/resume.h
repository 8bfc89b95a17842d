// The checkpoint that a run goes on from, and whether it may.
#pragma once

#include <optional>

#include "core/run/checkpoint.h"
#include "core/run/config.h"
#include "core/runtime/backend.h"
#include "core/step/step_shape.h"

namespace tandem {

// The newest checkpoint in the directory that verifies; each newer one is named in a warning with what is wrong.
// Exit::input when there is none.
Checkpoint newest_checkpoint(const std::string& directory);

// What changed since the checkpoint may change: memory (but lm_head_chunks), checkpoint, run, and with a warning
// distributed, batch where the sequences per step stay as many, and schedule.steps. Exit::configuration naming another
// key; Exit::input naming an input that changed.
void check_resume(const Manifest& manifest, const RunConfig& config, const std::vector<InputFile>& inputs);

// The micro_batch and gradient_accumulation of the run that made a checkpoint.
StepShape batch_of(const Manifest& manifest);
// Warns where the checkpoint was made with another one.
void warn_of_batch(const Manifest& manifest, const StepShape& now);

// Warns where the checkpoint is of another backend or device: the run goes on, but not to the bit.
void warn_of_device(const Manifest& manifest, const DeviceInfo& device);

}  // namespace tandem
