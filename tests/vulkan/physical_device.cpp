// What is decided from what a device says of itself. Needs no device.
#include "backends/vulkan/physical_device.h"

#include <doctest/doctest.h>

namespace tandem::vulkan {
namespace {

constexpr uint64_t kGiB = uint64_t(1) << 30;

// A host heap, a large and a small device-local heap, as of a card whose memory the host sees a part of.
VkPhysicalDeviceMemoryProperties three_heaps() {
  VkPhysicalDeviceMemoryProperties memory{};
  memory.memoryHeapCount = 3;
  memory.memoryHeaps[0] = {64 * kGiB, 0};
  memory.memoryHeaps[1] = {16 * kGiB, VK_MEMORY_HEAP_DEVICE_LOCAL_BIT};
  memory.memoryHeaps[2] = {kGiB / 4, VK_MEMORY_HEAP_DEVICE_LOCAL_BIT};
  return memory;
}

VkPhysicalDeviceMemoryBudgetPropertiesEXT budget_of(uint64_t budget, uint64_t usage) {
  VkPhysicalDeviceMemoryBudgetPropertiesEXT all{};
  all.heapBudget[0] = 50 * kGiB;
  all.heapBudget[1] = budget;
  all.heapBudget[2] = kGiB / 4;
  all.heapUsage[1] = usage;
  return all;
}

uint64_t free_with(uint64_t budget, uint64_t usage) {
  const auto all = budget_of(budget, usage);
  return free_device_memory(three_heaps(), &all);
}

TEST_CASE("free memory is the heap's budget less what the process holds") {
  CHECK(free_with(10 * kGiB, 3 * kGiB) == 7 * kGiB);
  CHECK(free_with(10 * kGiB, 0) == 10 * kGiB);
  CHECK(free_with(10 * kGiB, 11 * kGiB) == 0);     // others took memory while this process holds its own
  CHECK(free_with(20 * kGiB, kGiB) == 15 * kGiB);  // a budget is an estimate: never more than the heap
}

TEST_CASE("without a budget free memory is the size of the largest device-local heap") {
  CHECK(free_device_memory(three_heaps(), nullptr) == 16 * kGiB);
}

}  // namespace
}  // namespace tandem::vulkan
