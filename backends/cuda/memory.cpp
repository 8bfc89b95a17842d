#include "backends/cuda/memory.h"

#include <algorithm>
#include <cstring>

#include "backends/common/memory.h"
#include "core/base/parallel.h"
#include "kernels/kernel.h"

namespace tandem::cuda {
namespace {

constexpr uint64_t kGrain = 2 << 20;  // bytes of host memory that one thread zeroes: fewer do not pay for it

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
    fail_device_memory("cuda", fmt::format("arena {}", arena.name), arena.bytes, device_->free_bytes());
  }
  device_->check_device(result, "cudaMalloc");
  device_memory_ = OwnedDeviceMemory(address);
  address_ = static_cast<std::byte*>(address);
  device_->allocated += arena.bytes;
}

void ArenaMemory::finish() {
  if (!host_memory_) return;
  device_->make_current();
  host_memory_.finish(*device_);
}

ArenaMemory::~ArenaMemory() {
  if (device_memory_) device_->allocated -= arena_.bytes;
}

void Transfer::prepare() {
  device_->make_current();
  for (Buffer& buffer : buffers_) {
    if (buffer.memory) continue;
    buffer.copied = make_event();
    buffer.memory = PinnedMemory(*device_, kStagingBytes, "a staging buffer");
    buffer.memory.finish(*device_);
  }
}

std::span<std::byte> Transfer::wait(size_t buffer) {
  device_->wait(buffers_[buffer].copied.get());
  return {buffers_[buffer].memory.data(), kStagingBytes};
}

void Transfer::copy_in(size_t buffer, Memory& memory, uint64_t offset, uint64_t bytes) {
  copy(buffer, dynamic_cast<ArenaMemory&>(memory).at(offset), buffers_[buffer].memory.data(), bytes,
       cudaMemcpyHostToDevice);
}

void Transfer::copy_out(size_t buffer, const Memory& memory, uint64_t offset, uint64_t bytes) {
  copy(buffer, buffers_[buffer].memory.data(), dynamic_cast<const ArenaMemory&>(memory).at(offset), bytes,
       cudaMemcpyDeviceToHost);
}

void Transfer::copy(size_t buffer, void* to, const void* from, uint64_t bytes, cudaMemcpyKind kind) {
  const cudaStream_t stream = device_->stream();
  device_->check_device(cudaMemcpyAsync(to, from, bytes, kind, stream), "cudaMemcpyAsync");
  device_->record(buffers_[buffer].copied, stream);
}

void Transfer::write(ArenaMemory& memory, uint64_t offset, std::span<const std::byte> bytes) {
  check_range(memory.arena(), offset, bytes.size());
  if (memory.arena().kind != ArenaKind::host) return write_staged(*this, memory, offset, bytes);
  memory.finish();
  copy_bytes(memory.at(offset), bytes.data(), bytes.size());
}

void Transfer::zero(ArenaMemory& memory, uint64_t offset, uint64_t bytes) {
  check_range(memory.arena(), offset, bytes);
  if (memory.arena().kind == ArenaKind::host) {
    memory.finish();
    parallel_for(bytes, kGrain,
                 [&](uint64_t first, uint64_t last) { std::memset(memory.at(offset + first), 0, last - first); });
    return;
  }
  device_->make_current();
  device_->check_device(cudaMemsetAsync(memory.at(offset), 0, bytes, device_->stream()), "cudaMemsetAsync");
}

void Transfer::draw(ArenaMemory& memory, uint64_t offset, const abi::NormalDraw& values, DType dtype) {
  check_range(memory.arena(), offset, values.count * size_of(dtype));
  memory.finish();
  device_->make_current();
  kernels::draw_normal(values, {memory.at(offset), dtype}, device_->stream());
  device_->check_device(cudaGetLastError(), "draw_normal");
  // The host's next access to its own memory waits for nothing.
  if (memory.arena().kind == ArenaKind::host) device_->wait(device_->mark());
}

void Transfer::read(const ArenaMemory& memory, uint64_t offset, std::span<std::byte> bytes) {
  check_range(memory.arena(), offset, bytes.size());
  if (memory.arena().kind == ArenaKind::host) copy_bytes(bytes.data(), memory.at(offset), bytes.size());
  else read_staged(*this, memory, offset, bytes);
}

}  // namespace tandem::cuda
