#include "backends/cuda/memory.h"

#include <algorithm>
#include <cstring>

#include "core/base/parallel.h"

namespace tandem::cuda {
namespace {

constexpr uint64_t kStagingBytes = 16 << 20;
constexpr uint64_t kGrain = 4 << 20;  // bytes of host memory that one thread writes: fewer do not pay for it

void check_range(const ArenaMemory& memory, uint64_t offset, uint64_t bytes) {
  TANDEM_CHECK(offset <= memory.arena().bytes && bytes <= memory.arena().bytes - offset,
               "bytes {}+{} of arena {}, which has {}", offset, bytes, memory.arena().name, memory.arena().bytes);
}

}  // namespace

ArenaMemory::ArenaMemory(std::shared_ptr<Device> device, const Arena& arena)
    : device_(std::move(device)), arena_(arena) {
  device_->make_current();
  const uint64_t bytes = std::max<uint64_t>(arena.bytes, 1);
  if (arena.kind == ArenaKind::host) {
    host_memory_ = PinnedMemory(*device_, bytes, fmt::format("arena {}", arena.name));
    address_ = host_memory_.data();
    return;
  }
  void* address = nullptr;
  const cudaError_t result = cudaMalloc(&address, bytes);
  if (result == cudaErrorMemoryAllocation) {
    (void)cudaGetLastError();
    fail(Exit::does_not_fit, "cuda",
         "arena {} takes {} bytes, but the device has {} left; lower memory.device or batch.micro_batch, or end other "
         "programs that use it",
         arena.name, arena.bytes, device_->free_bytes());
  }
  device_->check_device(result, "cudaMalloc");
  device_memory_ = OwnedDeviceMemory(address);
  address_ = static_cast<std::byte*>(address);
  device_->allocated += arena.bytes;
}

ArenaMemory::~ArenaMemory() {
  if (device_memory_) device_->allocated -= arena_.bytes;
}

void Transfer::prepare() {
  device_->make_current();
  if (staging_[0].memory) return;
  for (Staging& staging : staging_) {
    staging.memory = PinnedMemory(*device_, kStagingBytes, "a staging buffer");
    staging.copied = make_event();
  }
}

void Transfer::write(ArenaMemory& memory, uint64_t offset, std::span<const std::byte> bytes) {
  check_range(memory, offset, bytes.size());
  if (memory.arena().kind == ArenaKind::host) {
    parallel_for(bytes.size(), kGrain, [&](uint64_t first, uint64_t last) {
      std::memcpy(memory.at(offset + first), bytes.data() + first, last - first);
    });
    return;
  }
  prepare();
  const cudaStream_t stream = device_->stream();
  for (uint64_t at = 0, piece = 0; at < bytes.size(); at += kStagingBytes, ++piece) {
    const Staging& staging = staging_[piece % 2];
    const uint64_t count = std::min(kStagingBytes, bytes.size() - at);
    device_->wait(staging.copied.get());
    std::memcpy(staging.memory.data(), bytes.data() + at, count);
    device_->check_device(
        cudaMemcpyAsync(memory.at(offset + at), staging.memory.data(), count, cudaMemcpyHostToDevice, stream),
        "cudaMemcpyAsync");
    device_->check_device(cudaEventRecord(staging.copied.get(), stream), "cudaEventRecord");
  }
}

void Transfer::zero(ArenaMemory& memory, uint64_t offset, uint64_t bytes) {
  check_range(memory, offset, bytes);
  if (memory.arena().kind == ArenaKind::host) {
    parallel_for(bytes, kGrain,
                 [&](uint64_t first, uint64_t last) { std::memset(memory.at(offset + first), 0, last - first); });
    return;
  }
  device_->make_current();
  device_->check_device(cudaMemsetAsync(memory.at(offset), 0, bytes, device_->stream()), "cudaMemsetAsync");
}

void Transfer::read(const ArenaMemory& memory, uint64_t offset, std::span<std::byte> bytes) {
  check_range(memory, offset, bytes.size());
  if (memory.arena().kind == ArenaKind::host) {
    std::copy_n(memory.at(offset), bytes.size(), bytes.begin());
    return;
  }
  prepare();
  const cudaStream_t stream = device_->stream();
  const uint64_t pieces = (bytes.size() + kStagingBytes - 1) / kStagingBytes;
  for (uint64_t piece = 0; piece <= pieces; ++piece) {  // piece is on its way while the one before is taken
    if (piece < pieces) {
      const Staging& staging = staging_[piece % 2];
      const uint64_t at = piece * kStagingBytes, count = std::min(kStagingBytes, bytes.size() - at);
      device_->check_device(
          cudaMemcpyAsync(staging.memory.data(), memory.at(offset + at), count, cudaMemcpyDeviceToHost, stream),
          "cudaMemcpyAsync");
      device_->check_device(cudaEventRecord(staging.copied.get(), stream), "cudaEventRecord");
    }
    if (piece > 0) {
      const Staging& staging = staging_[(piece - 1) % 2];
      const uint64_t at = (piece - 1) * kStagingBytes, count = std::min(kStagingBytes, bytes.size() - at);
      device_->wait(staging.copied.get());
      std::memcpy(bytes.data() + at, staging.memory.data(), count);
    }
  }
}

}  // namespace tandem::cuda
