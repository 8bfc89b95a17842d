#include "backends/common/transfer.h"

#include <algorithm>

#include "backends/common/memory.h"
#include "core/base/size.h"

namespace tandem {
namespace {

struct Piece {
  size_t buffer;
  uint64_t at, bytes;
};

Piece piece_of(uint64_t index, uint64_t all) {
  const uint64_t at = index * kStagingBytes;
  return {size_t(index % kStagingBuffers), at, std::min(kStagingBytes, all - at)};
}

}  // namespace

void write_staged(Staging& staging, Memory& memory, uint64_t offset, std::span<const std::byte> bytes) {
  staging.prepare();
  for (uint64_t i = 0; i < divide_up(bytes.size(), kStagingBytes); ++i) {
    const Piece piece = piece_of(i, bytes.size());
    copy_bytes(staging.wait(piece.buffer).data(), bytes.data() + piece.at, piece.bytes);
    staging.copy_in(piece.buffer, memory, offset + piece.at, piece.bytes);
  }
}

void read_staged(Staging& staging, const Memory& memory, uint64_t offset, std::span<std::byte> bytes) {
  staging.prepare();
  const uint64_t pieces = divide_up(bytes.size(), kStagingBytes);
  for (uint64_t i = 0; i <= pieces; ++i) {  // a piece is on its way while the one before is taken
    if (i < pieces) {
      const Piece piece = piece_of(i, bytes.size());
      staging.copy_out(piece.buffer, memory, offset + piece.at, piece.bytes);
    }
    if (i > 0) {
      const Piece piece = piece_of(i - 1, bytes.size());
      copy_bytes(bytes.data() + piece.at, staging.wait(piece.buffer).data(), piece.bytes);
    }
  }
}

}  // namespace tandem
