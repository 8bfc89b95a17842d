// Checks of a Program, run after every compile and on whatever a Session loads: a broken one is a defect of a pass
// (Exit::internal). Backends rely on them.
#pragma once

#include "core/program/program.h"
#include "core/program/target.h"

namespace tandem {

// - Arenas are within the target's limit; buffers lie inside their arena, aligned.
// - An operand's bytes hold its desc, and are within the target's limit; a workspace has what the target asks for; a
//   copy's sides are equal.
// - In one instruction, what is written overlaps nothing else that it reads or writes.
// - An exchange has a place for each rank's part, and overlaps itself only in a rank's own part of what it gathers.
// - Dispatches and fills are on the compute queue; a Wait's Signal stands earlier in its range.
void verify(const Program& program, const Target& target);

// No two instructions of a range touch overlapping bytes, one of them writing, without an order between them: a barrier
// on their queue, or a chain of signals and waits.
void check_hazards(const Program& program);

}  // namespace tandem
