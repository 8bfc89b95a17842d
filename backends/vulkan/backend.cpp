#include <algorithm>
#include <thread>

#include "backends/vulkan/executable.h"
#include "backends/vulkan/probe.h"
#include "backends/vulkan/shader_choice.h"
#include "backends/vulkan/vulkan.h"
#include "core/base/system_memory.h"

namespace tandem {
namespace vulkan {
namespace {

constexpr uint64_t kToCome = 64 << 20;  // staging buffer, pipelines, descriptors

// What Mesa's software device reached on two cores, by core: products 107, 114 and 111 GFLOP/s, attention 71, passes
// over memory 23 GB/s; a dispatch takes 26 to 98 us. Nothing is known of a GPU here.
Rates rates_of(const PhysicalDevice& device) {
  if (!device.software()) return {};
  const double cores = std::max(1u, std::thread::hardware_concurrency());
  Rates rates;
  rates.f32 = 53e9 * cores;
  rates.bf16 = 57e9 * cores;
  rates.e4m3 = 55e9 * cores;
  rates.attention = 35e9 * cores;
  rates.bandwidth = 13e9 * cores;
  rates.host_to_device = rates.device_to_host = rates.zero_copy = 5e9 * cores;
  rates.launch_seconds = 50e-6;
  return rates;
}

// An operand is bound as a buffer or by texels of 4 to 16 bytes, as its shader has it: largest_operand can be bound by
// some, largest_chunk by all.
Target target_of(const PhysicalDevice& device, const DeviceBudget& budget) {
  const VkPhysicalDeviceLimits& limits = device.properties.limits;
  Target target;
  target.name = device.properties.deviceName;
  target.largest_arena = device.largest_allocation / 256 * 256;
  const uint64_t texels = limits.maxTexelBufferElements, range = limits.maxStorageBufferRange;
  target.largest_operand = std::max(range, texels * 16) / 256 * 256;
  target.largest_chunk = std::min(range, texels * 4) / 256 * 256;
  target.alignment =
      std::max<uint64_t>({256, limits.minStorageBufferOffsetAlignment, limits.minTexelBufferOffsetAlignment});
  target.memory_bytes = budget.memory_bytes();
  target.reserve_bytes = budget.reserve_bytes();
  target.scratch = [device](OpId op, const Parameters& parameters, Operands operands) {
    return scratch_of(op, parameters, operands, device);
  };
  target.host_memory_bytes = plannable_system_memory();
  target.rates = rates_of(device);
  return target;
}

class VulkanBackend : public Backend {
 public:
  explicit VulkanBackend(uint32_t index)
      : device_(std::make_shared<Device>(index)),
        budget_{.free_now = device_->physical().free_bytes, .taken = {}, .to_come = kToCome, .margin = 0},
        target_(target_of(device_->physical(), budget_)),
        transfer_(device_),
        pipelines_(device_) {
    probe(device_, pipelines_, shader_probes());
  }

  const Target& target() const override { return target_; }
  Software software() const override { return {.driver = device_->physical().driver, .libraries = {}}; }
  void join(World& world, std::string_view) override { world_ = &world; }
  DeviceBudget budget() const override { return budget_; }
  std::unique_ptr<Memory> allocate(const Arena& arena) override {
    return std::make_unique<ArenaMemory>(device_, arena);
  }
  void write(Memory& memory, uint64_t offset, std::span<const std::byte> bytes) override {
    transfer_.write(dynamic_cast<ArenaMemory&>(memory), offset, bytes);
  }
  void read(const Memory& memory, uint64_t offset, std::span<std::byte> bytes) override {
    transfer_.read(dynamic_cast<const ArenaMemory&>(memory), offset, bytes);
  }
  std::unique_ptr<Executable> load(const Program& program, std::span<Memory* const> memories) override {
    auto executable = std::make_unique<VulkanExecutable>(device_, pipelines_, transfer_, world_, program, memories);
    pipelines_.save();
    return executable;
  }

 private:
  std::shared_ptr<Device> device_;
  DeviceBudget budget_;
  Target target_;
  Transfer transfer_;
  Pipelines pipelines_;
  World* world_ = nullptr;
};

DeviceList list_devices() {
  DeviceList list;
  try {
    const Instance instance;
    for (const PhysicalDevice& device : instance.devices(list.missing))
      list.devices.push_back({.backend = "vulkan",
                              .index = uint32_t(list.devices.size()),
                              .name = device.properties.deviceName,
                              .memory_bytes = device.memory_bytes,
                              .recipes = {"fp32", "bf16", "fp8"},
                              .kind = device.kind});
    if (!list.devices.empty()) list.missing.clear();
  } catch (const Error& error) {
    list.missing = error.what();
  }
  return list;
}

std::unique_ptr<Backend> open_device(uint32_t index) {
  return std::make_unique<VulkanBackend>(index);
}

}  // namespace
}  // namespace vulkan

BackendFactory vulkan_backend() {
  return {.name = "vulkan", .devices = vulkan::list_devices, .open = vulkan::open_device, .rank = 1};
}

}  // namespace tandem
