// Checks of a Program that several ranks run together: a broken one is a defect of a pass (Exit::internal).
#pragma once

#include <span>

#include "core/program/program.h"

namespace tandem {

// by_rank: each rank's program, as for_rank makes it.
// - All ranks exchange the same, in the same order: kinds, bytes and labels are equal.
// - What a rank gathers in place is its own part.
// - Ranges end, whatever the order in which queues and ranks run: no exchange waits for one behind it.
void verify_ranks(std::span<const Program> by_rank);
void verify_ranks(const Program& program);  // the program is that of all ranks

}  // namespace tandem
