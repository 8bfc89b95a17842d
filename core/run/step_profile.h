// Where a step's time goes: when each of its instructions ran, as a trace that chrome://tracing and Perfetto show.
#pragma once

#include <string>
#include <vector>

#include "core/run/plan_details.h"
#include "core/step/step_runner.h"

namespace tandem {

// Trace Event Format: complete events, one per instruction and one per wait for another queue; microseconds; a thread
// per queue. Their arguments: range, op, operands as in a Program's dump, flops, bytes, and floor_us where the rates
// are known. Those of instructions also name the class of cost, which report reads.
std::string trace_of(const Program& program, std::span<const TurnTimes> times, const Rates& rates);

// The text of a run directory's profile.json: {step, seconds, classes}, classes as plan.json has them, with seconds as
// timed. seconds: the step's. floor: a step's with no policy.
std::string profile_text(const Program& program, std::span<const TurnTimes> times, uint64_t step,
                         const PlanDetails& details);

}  // namespace tandem
