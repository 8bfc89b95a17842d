#include "backends/common/memory.h"

#include <cstring>

#include "core/base/parallel.h"

namespace tandem {

void check_range(const Arena& arena, uint64_t offset, uint64_t bytes) {
  TANDEM_CHECK(offset <= arena.bytes && bytes <= arena.bytes - offset, "bytes {}+{} of arena {}, which has {}", offset,
               bytes, arena.name, arena.bytes);
}

void fail_device_memory(std::string_view backend, std::string_view what, uint64_t bytes, std::optional<uint64_t> left) {
  fail(Exit::does_not_fit, backend,
       "{} takes {} bytes, {}; lower memory.device or batch.micro_batch, or end other programs that use the device",
       what, bytes, left ? fmt::format("but the device has {} left", *left) : "which the device does not have left");
}

void fail_host_memory(std::string_view backend, std::string_view what, uint64_t bytes) {
  fail(Exit::does_not_fit, backend,
       "{} takes {} bytes of host memory that the device reaches, which the system does not have left; lower "
       "memory.host",
       what, bytes);
}

void copy_bytes(std::byte* to, const std::byte* from, uint64_t bytes) {
  constexpr uint64_t kGrain = 2 << 20;  // Fewer bytes do not pay for a thread.
  parallel_for(bytes, kGrain,
               [&](uint64_t first, uint64_t last) { std::memcpy(to + first, from + first, last - first); });
}

}  // namespace tandem
