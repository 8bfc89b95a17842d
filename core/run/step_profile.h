// Where a step's time goes: its instructions, each timed alone, as a trace that chrome://tracing and Perfetto show.
#pragma once

#include <string>
#include <vector>

#include "core/plan/cost_model.h"
#include "core/step/step_runner.h"

namespace tandem {

// Trace Event Format: complete events, one per instruction, one after the other; microseconds; a thread per queue.
// Their arguments: range, op, operands as in a Program's dump, flops, bytes, and floor_us where the rates are known.
std::string trace_of(const Program& program, std::span<const RangeTimes> times, const Rates& rates);

}  // namespace tandem
