// The training steps of a run, walked through on two backends by the Verifier.
#pragma once

#include "core/run/config.h"
#include "core/run/settings.h"
#include "core/runtime/verifier.h"

namespace tandem {

// Trains `steps` steps and evaluates once, on the run's own model and data. Compiles once, for what both backends can
// do. The result outlives the sessions. Exit::configuration for several ranks.
Verifier verify_run(const RunConfig& config, Backend& reference, Backend& candidate, uint64_t steps,
                    const VerifyOptions& options);

// "micro_step:57"; Exit::configuration for another form
InstructionId parse_instruction(const std::string& text);
std::string name_of(const InstructionId& id);

}  // namespace tandem
