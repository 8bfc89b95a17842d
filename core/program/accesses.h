// The bytes that an instruction reads and writes, and its exchange with other ranks.
#pragma once

#include "core/program/program.h"

namespace tandem {

struct BufferAccess {
  BufferRef buffer;
  bool write = false;
  uint64_t span = 0;  // bytes over all ranks

  uint64_t end() const { return buffer.offset + span; }
};

std::vector<BufferAccess> accesses_of(const Instruction& instruction, uint32_t ranks);

// The instruction's exchange between ranks; null: it is another command.
const Collective* exchange_of(const Instruction& instruction);

// True if the two overlap and one writes. Buffers of one rank_stride are those of one rank, whichever it is.
bool conflict(const BufferAccess& a, const BufferAccess& b);
bool conflict(const std::vector<BufferAccess>& a, const std::vector<BufferAccess>& b);

}  // namespace tandem
