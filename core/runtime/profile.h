// Times of single instructions on a device, through Programs as a run submits them.
#pragma once

#include "core/runtime/session.h"

namespace tandem {

struct DispatchTime {
  const Dispatch* dispatch;  // in the session's program
  Cost cost;
  double seconds;
};

// Runs the turn once more; empty where the backend cannot tell times.
std::vector<DispatchTime> time_dispatches(Session& session, Turn turn);

// Seconds that the range takes from its submission to its end, the fastest of some runs.
double fastest_run(Session& session, Range range, int runs);

// All that the session's arenas hold: pages that were never touched are no memory.
void fill_with_zeros(Session& session);

struct CopySpec {
  ArenaKind from, to;
  Queue queue = Queue::compute;
};
// Copies of so many bytes, `times` of each side by side: the fastest of some runs, in seconds.
double time_copies(Backend& backend, std::span<const CopySpec> copies, uint64_t bytes, int times);

}  // namespace tandem
