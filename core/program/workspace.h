// Scratch that dispatches share, one after the other.
#pragma once

#include "core/program/program.h"

namespace tandem {

uint64_t workspace_bytes(const Program& program);  // the largest Cost::workspace of its dispatches

}  // namespace tandem
