#include "backends/common/health_monitor.h"
#include "backends/common/nvml.h"
#include "backends/cuda/copy_communicator.h"
#include "backends/cuda/cuda.h"
#include "backends/cuda/executable.h"
#include "backends/cuda/first_exchanges.h"
#include "backends/cuda/kernel_list.h"
#include "core/base/system_memory.h"
#include "core/build_id.h"

namespace tandem {
namespace cuda {
namespace {

constexpr uint64_t kAlignment = 256;
// Taken after the budget is read, beside what is planned: kernels of cuBLASLt that no product has met, captured graphs,
// and allocations rounded up. Less, and a run that was planned to the last byte fails; more is memory that no plan
// uses.
constexpr uint64_t kToCome = uint64_t{192} << 20;
constexpr uint64_t kMargin = kToCome / 3;
constexpr uint64_t kContext = uint64_t{512} << 20;  // Where NVML does not tell what one takes.

// A device on which all is made that can be before anything is planned, and what that took of its memory.
struct OpenDevice {
  std::shared_ptr<Device> device;
  MemoryMeter meter;
  uint64_t to_come = 0;

  DeviceBudget budget() const { return meter.budget(to_come, kMargin); }
};

// Empty where CUDA does not tell it.
std::string bus_id(uint32_t index) {
  char bus[32] = {};
  if (cudaDeviceGetPCIBusId(bus, sizeof(bus), int(index)) == cudaSuccess) return bus;
  (void)cudaGetLastError();
  return {};
}

OpenDevice open_measured(uint32_t index) {
  const std::optional<uint64_t> before = free_bytes_by_nvml(bus_id(index));  // before this process is on the device
  const auto device = std::make_shared<Device>(index);
  MemoryMeter meter(before.value_or(device->free_bytes() + kContext), [device] { return device->free_bytes(); });
  meter.took("context");
  const uint64_t local_memory = load_kernels(*device);
  meter.took("kernels");
  run_each_product(*device);
  meter.took("products");
  return {device, std::move(meter), kToCome + local_memory};
}

// "auto": where GPUs reach each other's memory, two ranks share one, or there is no NCCL.
bool exchange_by_copies(Device& device, World& world, std::string_view collectives) {
  const bool threads = ranks_are_threads(world);
  const auto shared = ranks_of_one_device(device, world);
  if (shared && (!threads || collectives == "nccl"))
    fail(Exit::configuration, "distributed.devices",
         "ranks {} and {} are on one device, and NCCL wants one for each rank; give each rank a device, or leave "
         "distributed.collectives at auto and start tandem train alone",
         shared->first, shared->second);
  if (collectives == "nccl") return false;
  if (collectives == "copy" && !threads)
    fail(Exit::configuration, "distributed.collectives",
         "is copy, which wants ranks that are threads of one process; use nccl, or start tandem train alone");
  const bool reach = threads && reach_peers(device, world);
  return collectives == "copy" || reach || (threads && (shared || !has_nccl()));
}

Target target_of(const Device& opened, const DeviceBudget& budget) {
  const cudaDeviceProp& device = opened.properties();
  Target target;
  target.name = device.name;
  target.queues = opened.queues();
  target.largest_arena = target.largest_operand = target.largest_chunk =
      device.totalGlobalMem / kAlignment * kAlignment;
  target.alignment = kAlignment;
  target.memory_bytes = budget.memory_bytes();
  target.reserve_bytes = budget.reserve_bytes();
  target.workspace_bytes = kGemmWorkspace;
  target.rates.multiprocessors = uint32_t(device.multiProcessorCount);
  target.host_memory_bytes = plannable_system_memory();
  return target;
}

class CudaBackend : public Backend {
 public:
  explicit CudaBackend(OpenDevice opened)
      : opened_(std::move(opened)),
        device_(opened_.device),
        budget_(opened_.budget()),
        target_(target_of(*device_, budget_)),
        transfer_(device_),
        choices_(fmt::format("cublaslt-{}-sm{}{}-{}.json", device_->properties().name, device_->properties().major,
                             device_->properties().minor, cublasLtGetVersion())) {}

  const Target& target() const override { return target_; }
  std::unique_ptr<Memory> allocate(const Arena& arena) override {
    return std::make_unique<ArenaMemory>(device_, arena);
  }
  void write(Memory& memory, uint64_t offset, std::span<const std::byte> bytes) override {
    transfer_.write(dynamic_cast<ArenaMemory&>(memory), offset, bytes);
  }
  void read(const Memory& memory, uint64_t offset, std::span<std::byte> bytes) override {
    transfer_.read(dynamic_cast<const ArenaMemory&>(memory), offset, bytes);
  }
  void zero(Memory& memory, uint64_t offset, uint64_t bytes) override {
    transfer_.zero(dynamic_cast<ArenaMemory&>(memory), offset, bytes);
  }
  bool draw(Memory& memory, uint64_t offset, const abi::NormalDraw& values, DType dtype) override {
    transfer_.draw(dynamic_cast<ArenaMemory&>(memory), offset, values, dtype);
    return true;
  }
  std::unique_ptr<Executable> load(const Program& program, std::span<Memory* const> memories) override {
    auto executable = std::make_unique<CudaExecutable>(device_, choices_, program, memories);
    if (is_root_) choices_.save();
    return executable;
  }
  std::string_view transport() const override {
    return device_->communicator() != nullptr ? device_->communicator()->name() : "host";
  }
  void join(World& world, std::string_view collectives) override {
    is_root_ = world.seat().rank == 0;
    if (world.seat().ranks == 1) return;
    device_->make_current();
    if (exchange_by_copies(*device_, world, collectives))
      device_->join(std::make_unique<CopyCommunicator>(*device_, world));
    else device_->join(connect(world));
    run_first_exchanges(*device_, world.seat());
    transfer_.prepare();
    opened_.meter.took("exchanges");
    read_budget();
  }
  void read_budget() override {
    budget_ = opened_.budget();
    target_ = target_of(*device_, budget_);
  }
  Software software() const override {
    int driver = 0;
    check(cudaDriverGetVersion(&driver), "cudaDriverGetVersion");
    const size_t blas = cublasLtGetVersion();
    return {.driver = fmt::format("NVIDIA, CUDA {}.{}", driver / 1000, driver % 1000 / 10),
            .libraries = {fmt::format("CUDA runtime {}.{}", CUDART_VERSION / 1000, CUDART_VERSION % 1000 / 10),
                          fmt::format("cuBLASLt {}.{}.{}", blas / 10000, blas / 100 % 100, blas % 100)}};
  }
  std::optional<Health> health() override {
    if (!monitor_) monitor_.emplace(bus_id(device_->index()));
    return monitor_->take();
  }
  DeviceBudget budget() const override { return budget_; }
  std::optional<uint64_t> free_bytes() override { return device_->free_bytes(); }
  KernelTable* kernels() override { return &choices_; }

 private:
  OpenDevice opened_;
  std::shared_ptr<Device> device_;
  DeviceBudget budget_;
  Target target_;
  Transfer transfer_;
  KernelTable choices_;  // A GEMM's is its cuBLASLt algorithm.
  std::optional<HealthMonitor> monitor_;
  bool is_root_ = true;  // the root alone writes the cache of choices
};

DeviceInfo info_of(uint32_t index, const cudaDeviceProp& device) {
  DeviceInfo info{.backend = "cuda",
                  .index = index,
                  .name = device.name,
                  .memory_bytes = device.totalGlobalMem,
                  .recipes = {"fp32", "bf16"},
                  .kind = device.integrated ? DeviceInfo::Kind::integrated : DeviceInfo::Kind::discrete};
  if (device.major > 8 || (device.major == 8 && device.minor >= 9)) info.recipes.push_back("fp8");
  return info;
}

DeviceList list_devices() {
  DeviceList list;
  int count = 0;
  if (const cudaError_t result = cudaGetDeviceCount(&count); result != cudaSuccess) {
    (void)cudaGetLastError();
    list.missing =
        fmt::format("{} ({}); is NVIDIA's driver installed, and new enough for CUDA {}.{}?", cudaGetErrorString(result),
                    cudaGetErrorName(result), CUDART_VERSION / 1000, CUDART_VERSION % 1000 / 10);
    return list;
  }
  for (int i = 0; i < count; ++i) {
    cudaDeviceProp device{};
    if (cudaGetDeviceProperties(&device, i) != cudaSuccess) continue;
    if (device.major >= 8) list.devices.push_back(info_of(uint32_t(i), device));
    else
      list.missing += fmt::format("{} is sm_{}{}, sm_80 or newer is needed; ", device.name, device.major, device.minor);
  }
  if (list.devices.empty() && list.missing.empty()) list.missing = "the driver lists no device";
  if (!list.devices.empty()) list.missing.clear();
  return list;
}

std::unique_ptr<Backend> open_device(uint32_t index) {
  return std::make_unique<CudaBackend>(open_measured(index));
}

}  // namespace
}  // namespace cuda

extern "C" __attribute__((visibility("default"))) const char* tandem_cuda_build() {
  return kBuildId;
}

extern "C" __attribute__((visibility("default"))) const BackendFactory& tandem_cuda_module() {
  static const BackendFactory factory{"cuda", cuda::list_devices, cuda::open_device};
  return factory;
}

}  // namespace tandem
