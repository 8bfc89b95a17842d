#include "tests/support/cpu_backend.h"

#include <algorithm>
#include <cstring>

#include "backends/common/memory.h"

namespace tandem::test {
namespace {

constexpr uint64_t kAlignment = 256;
constexpr uint64_t kLeastWorkspace = 256;

}  // namespace

void poison(std::byte* p, uint64_t bytes) {
  if (bytes > 0) std::memset(p, 0xff, bytes);
}

HostMemory::HostMemory(const Arena& arena, const Target& target) : arena_(arena) {
  void* p = nullptr;
  if (arena.bytes > target.largest_arena || posix_memalign(&p, kAlignment, arena.bytes) != 0)
    fail_device_memory(target.name, fmt::format("arena {}", arena.name), arena.bytes);
  data_.reset(static_cast<std::byte*>(p));
  poison(data_.get(), arena.bytes);
}

std::byte* HostMemory::at(uint64_t offset, uint64_t bytes) const {
  check_range(arena_, offset, bytes);
  return data_.get() + offset;
}

CpuBackend::CpuBackend(std::string name, QueueSet queues) {
  target_.name = std::move(name);
  target_.queues = queues;
  target_.alignment = kAlignment;
  target_.workspace_bytes = kLeastWorkspace;
  target_.largest_arena = target_.largest_operand = target_.largest_chunk = target_.memory_bytes = uint64_t{1} << 34;
}

void CpuBackend::write(Memory& memory, uint64_t offset, std::span<const std::byte> bytes) {
  std::ranges::copy(bytes, dynamic_cast<HostMemory&>(memory).at(offset, bytes.size()));
}

void CpuBackend::read(const Memory& memory, uint64_t offset, std::span<std::byte> bytes) {
  std::copy_n(dynamic_cast<const HostMemory&>(memory).at(offset, bytes.size()), bytes.size(), bytes.begin());
}

DeviceList cpu_device(const std::string& name) {
  DeviceInfo info;
  info.backend = info.name = name;
  info.recipes = {"fp32", "bf16", "fp8"};
  return {{info}, {}};
}

}  // namespace tandem::test
