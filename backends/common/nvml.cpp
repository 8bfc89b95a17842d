#include "backends/common/nvml.h"

#include <dlfcn.h>
#include <fmt/format.h>

#include <cstdlib>
#include <future>
#include <thread>

namespace tandem {
namespace {

constexpr int kOnDie = 0;            // nvmlTemperatureSensors_t
constexpr int kMultiprocessors = 1;  // nvmlClockType_t

struct MemoryInfo {  // nvmlMemory_t
  unsigned long long total = 0, free = 0, used = 0;
};

template <typename From>
std::optional<double> scaled(std::optional<From> value, double factor) {
  return value ? std::optional(double(*value) * factor) : std::nullopt;
}

}  // namespace

void Nvml::Close::operator()(void* library) const {
  (void)dlclose(library);
}

Nvml::Nvml(const std::string& bus) {
  const char* named = std::getenv("TANDEM_NVML");
  const std::string file = named ? named : "libnvidia-ml.so.1";
  if (file == "0") {
    problem_ = "TANDEM_NVML is 0";
    return;
  }
  library_.reset(dlopen(file.c_str(), RTLD_NOW | RTLD_LOCAL));
  if (!library_) {
    problem_ = dlerror();
    return;
  }
  const auto init = find<>("nvmlInit_v2");
  const auto handle = find<const char*, void**>("nvmlDeviceGetHandleByPciBusId_v2");
  if (init == nullptr || handle == nullptr) return;
  const int error = init();
  initialised_ = error == 0;
  if (!initialised_) {
    refuse("nvmlInit_v2", fmt::format("error {}", error));
    return;
  }
  if (const int unknown = handle(bus.c_str(), &device_); unknown != 0) {
    device_ = nullptr;
    refuse("nvmlDeviceGetHandleByPciBusId_v2", fmt::format("error {} for {}", unknown, bus));
  }
}

Nvml::~Nvml() {
  const auto shutdown = initialised_ ? find<>("nvmlShutdown") : nullptr;
  if (shutdown != nullptr) (void)shutdown();
}

// Each call is named once.
void Nvml::refuse(const char* name, const std::string& why) {
  if (problem_.find(name) == std::string::npos)
    problem_ += fmt::format("{}{}: {}", problem_.empty() ? "" : "; ", name, why);
}

template <typename... Arguments>
int (*Nvml::find(const char* name))(Arguments...) {
  void* symbol = dlsym(library_.get(), name);
  if (symbol == nullptr) refuse(name, "the library lacks it");
  return reinterpret_cast<int (*)(Arguments...)>(symbol);
}

template <typename Value, typename... Arguments>
std::optional<Value> Nvml::ask(const char* name, Arguments... arguments) {
  if (device_ == nullptr) return {};
  const auto call = find<void*, Arguments..., Value*>(name);
  if (call == nullptr) return {};
  Value value{};
  if (const int error = call(device_, arguments..., &value); error != 0) {
    refuse(name, fmt::format("error {}", error));
    return {};
  }
  return value;
}

std::optional<uint64_t> Nvml::free_bytes() {
  const auto memory = ask<MemoryInfo>("nvmlDeviceGetMemoryInfo");
  return memory ? std::optional<uint64_t>(memory->free) : std::nullopt;
}

std::optional<double> Nvml::energy() {
  return scaled(ask<unsigned long long>("nvmlDeviceGetTotalEnergyConsumption"), 1e-3);  // mJ
}

std::optional<double> Nvml::power() {
  return scaled(ask<unsigned>("nvmlDeviceGetPowerUsage"), 1e-3);  // mW
}

std::optional<double> Nvml::temperature() {
  return scaled(ask<unsigned>("nvmlDeviceGetTemperature", kOnDie), 1);
}

std::optional<double> Nvml::clock() {
  return scaled(ask<unsigned>("nvmlDeviceGetClockInfo", kMultiprocessors), 1);
}

std::optional<uint64_t> free_bytes_by_nvml(const std::string& bus, std::chrono::milliseconds patience) {
  std::promise<std::optional<uint64_t>> promise;
  std::future<std::optional<uint64_t>> answer = promise.get_future();
  std::thread([bus, promise = std::move(promise)]() mutable { promise.set_value(Nvml(bus).free_bytes()); }).detach();
  if (answer.wait_for(patience) != std::future_status::ready) return {};
  return answer.get();
}

}  // namespace tandem
