// The bytes that an instruction reads and writes.
#pragma once

#include "core/program/program.h"

namespace tandem {

struct BufferAccess {
  BufferRef buffer;
  bool write = false;
};

std::vector<BufferAccess> accesses_of(const Instruction& instruction);

// Do the two overlap, and does one write?
bool conflict(const BufferAccess& a, const BufferAccess& b);
bool conflict(const std::vector<BufferAccess>& a, const std::vector<BufferAccess>& b);

}  // namespace tandem
