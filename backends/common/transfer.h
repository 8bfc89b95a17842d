// Copies between the host and memory that it does not see: in pieces, through two staging buffers in turn, so that one
// is filled or emptied while the device copies the other.
#pragma once

#include "core/runtime/backend.h"

namespace tandem {

constexpr uint64_t kStagingBytes = 16 << 20;  // Larger buffers are no faster over PCIe, and take host memory.
constexpr size_t kStagingBuffers = 2;

// What a backend does for a Transfer. buffer: 0 or 1.
class Staging {
 public:
  virtual ~Staging() = default;
  virtual void prepare() = 0;                            // takes the buffers' memory; again: nothing
  virtual std::span<std::byte> wait(size_t buffer) = 0;  // its memory, after the last copy from or to it
  // Copies that are submitted behind all that was: from the buffer, and to it.
  virtual void copy_in(size_t buffer, Memory& memory, uint64_t offset, uint64_t bytes) = 0;
  virtual void copy_out(size_t buffer, const Memory& memory, uint64_t offset, uint64_t bytes) = 0;
};

void write_staged(Staging& staging, Memory& memory, uint64_t offset, std::span<const std::byte> bytes);
// Returns once the bytes are there.
void read_staged(Staging& staging, const Memory& memory, uint64_t offset, std::span<std::byte> bytes);

}  // namespace tandem
