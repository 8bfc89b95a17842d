#include "core/runtime/backend.h"

#include <algorithm>
#include <vector>

namespace tandem {

void Backend::zero(Memory& memory, uint64_t offset, uint64_t bytes) {
  constexpr uint64_t kPiece = 16 << 20;
  const std::vector<std::byte> zeros(std::min(kPiece, bytes));
  for (uint64_t at = 0; at < bytes; at += kPiece)
    write(memory, offset + at, std::span(zeros).first(std::min(kPiece, bytes - at)));
}

void Backend::join(World& world, std::string_view) {
  fail(Exit::device, target().name, "works alone; use distributed.devices = 1 rather than {}", world.seat().ranks);
}

}  // namespace tandem
