// Where a step's time goes: when each of its instructions ran, as a trace that chrome://tracing and Perfetto show.
#pragma once

#include <string>
#include <vector>

#include "core/run/plan_details.h"
#include "core/step/step_runner.h"

namespace tandem {

// Trace Event Format: complete events, one per instruction and one per wait; microseconds; a thread per queue. Their
// arguments: range, operands as in a Program's dump, flops, bytes, and floor_us where the rates are known. Those of
// instructions name the class of cost, those of waits the queue waited for: report reads both.
std::string trace_of(const Program& program, std::span<const TurnTimes> times, const Rates& rates);

// The text of a run directory's profile.json: {step, seconds, exposed_copy_seconds, exposed_exchange_seconds, classes},
// as plan.json has them, as timed. seconds: the step's. floor: a step's with no policy.
std::string profile_text(const Program& program, std::span<const TurnTimes> times, uint64_t step,
                         const PlanDetails& details);

}  // namespace tandem
