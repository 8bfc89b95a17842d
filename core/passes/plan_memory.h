// Places every root in an arena. Persistent ones stand side by side; transients share bytes when their live ranges are
// apart, what dispatches make and what copies make (staging) each among themselves, so that queues seldom wait for each
// other. Workspaces take what the other transients leave free at their node.
#pragma once

#include "core/passes/storage.h"
#include "core/program/program.h"
#include "core/program/target.h"

namespace tandem {

struct MemoryPlan {
  std::vector<Arena> arenas;       // device arenas first, then host
  std::vector<BufferRef> buffers;  // by root
  uint64_t persistent_bytes = 0, transient_bytes = 0, staging_bytes = 0, host_bytes = 0;
  // Least device bytes: persistent ones and the largest sum of live transients at one instruction
  uint64_t lower_bound = 0;
  std::string shortfall;  // the message that says what does not fit the Target, and what to do; empty: all does

  bool fits() const { return shortfall.empty(); }
  uint64_t arena_bytes() const { return persistent_bytes + transient_bytes + staging_bytes; }  // on the device
};

// All that a process with this plan takes on the device: arenas, the Target's staging and reserve. The metrics call it
// memory.
uint64_t device_bytes(const MemoryPlan& plan, const Target& target);

// Every root has its place in the plan, in more memory than the Target has too. The shortfall names a value over the
// largest arena or operand, or else the largest live values when the plan is over the Target's memory.
MemoryPlan plan_memory(const Graph& graph, const Storage& storage, const Target& target);

// Exit::does_not_fit with the shortfall, where there is one.
void require_fits(const MemoryPlan& plan);

}  // namespace tandem
