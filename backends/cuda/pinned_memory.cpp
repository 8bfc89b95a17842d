#include "backends/cuda/pinned_memory.h"

#include <sys/mman.h>

#include <atomic>
#include <utility>

#include "backends/common/memory.h"
#include "core/base/parallel.h"
#include "core/base/size.h"
#include "core/base/system_memory.h"

namespace tandem::cuda {
namespace {

constexpr uint64_t kHugePage = 2 << 20;
constexpr uint64_t kGrain = 64 << 20;  // bytes that one thread touches
constexpr unsigned kFlags = cudaHostRegisterMapped | cudaHostRegisterPortable;
static_assert(cudaHostAllocMapped == cudaHostRegisterMapped && cudaHostAllocPortable == cudaHostRegisterPortable);

std::atomic<uint64_t> untouched = 0;  // bytes of all memory that is not touched yet

// The system kills a process that touches more than there is.
void check_available(uint64_t bytes, std::string_view what) {
  if (bytes + untouched > available_system_memory()) fail_host_memory("cuda", what, bytes);
}

std::byte* aligned(void* address) {
  return reinterpret_cast<std::byte*>(round_up(reinterpret_cast<uintptr_t>(address), kHugePage));
}

void touch(std::byte* data, uint64_t bytes) {
  constexpr uint64_t kPage = 4096;  // Huge pages may be refused.
  parallel_for(bytes, kGrain, [data](uint64_t first, uint64_t last) {
    for (uint64_t at = first; at < last; at += kPage) *static_cast<volatile std::byte*>(data + at) = std::byte{};
  });
}

// A page is tried.
bool try_to_register() {
  void* page = mmap(nullptr, kHugePage, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (page == MAP_FAILED) return false;
  const bool can = cudaHostRegister(page, kHugePage, kFlags) == cudaSuccess;
  if (can) (void)cudaHostUnregister(page);
  else (void)cudaGetLastError();
  (void)munmap(page, kHugePage);
  return can;
}

// True if the system lets the driver lock memory that a process has.
bool registers() {
  static const bool can = try_to_register();
  return can;
}

}  // namespace

PinnedMemory::PinnedMemory(Device& device, uint64_t bytes, std::string what) : bytes_(bytes), what_(std::move(what)) {
  check_available(bytes, what_);
  if (device.properties().canUseHostPointerForRegisteredMem && registers()) {
    mapping_bytes_ = round_up(bytes, kHugePage) + kHugePage;
    mapping_ = mmap(nullptr, mapping_bytes_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (mapping_ == MAP_FAILED) mapping_ = nullptr, fail_host_memory("cuda", what_, bytes);
    data_ = aligned(mapping_);
    (void)madvise(data_, bytes, MADV_HUGEPAGE);  // It is faster, no more.
    untouched += bytes;
    touching_ = std::async(std::launch::async, [data = data_, bytes] {
      touch(data, bytes);
      untouched -= bytes;
    });
    return;
  }
  void* address = nullptr;
  const cudaError_t result = cudaHostAlloc(&address, bytes, kFlags);
  if (result == cudaErrorMemoryAllocation) (void)cudaGetLastError(), fail_host_memory("cuda", what_, bytes);
  device.check_device(result, "cudaHostAlloc");
  data_ = static_cast<std::byte*>(address);
}

void PinnedMemory::finish(Device& device) {
  if (!touching_.valid()) return;
  touching_.get();
  const cudaError_t result = cudaHostRegister(data_, bytes_, kFlags);
  if (result == cudaSuccess) return;
  (void)munmap(std::exchange(mapping_, nullptr), mapping_bytes_);
  data_ = nullptr;
  if (result == cudaErrorMemoryAllocation) (void)cudaGetLastError(), fail_host_memory("cuda", what_, bytes_);
  device.check_device(result, "cudaHostRegister");
}

// What a hanging device may still write to is left to the end of the process.
PinnedMemory::~PinnedMemory() {
  if (data_ == nullptr || device_hangs()) return;
  if (mapping_ == nullptr) {
    (void)cudaFreeHost(data_);
    return;
  }
  if (touching_.valid()) touching_.wait();
  else (void)cudaHostUnregister(data_);
  (void)munmap(mapping_, mapping_bytes_);
}

void PinnedMemory::swap(PinnedMemory& other) noexcept {
  std::swap(mapping_, other.mapping_);
  std::swap(mapping_bytes_, other.mapping_bytes_);
  std::swap(bytes_, other.bytes_);
  std::swap(data_, other.data_);
  std::swap(what_, other.what_);
  std::swap(touching_, other.touching_);
}

}  // namespace tandem::cuda
