// Checks of a Program, run after every compile: a broken one is a defect of a pass (Exit::internal).
#pragma once

#include "core/program/program.h"
#include "core/program/target.h"

namespace tandem {

// Operands stand inside their arena, aligned and no larger than the target allows; a Wait's Signal stands earlier in
// its range.
void verify(const Program& program, const Target& target);

// No two instructions of a range touch overlapping bytes, one of them writing, without an order between them: a barrier
// on their queue, or a chain of signals and waits.
void check_hazards(const Program& program);

// A text form, made to be read and diffed.
std::string dump(const Program& program);

}  // namespace tandem
