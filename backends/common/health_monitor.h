// Samples a device's health once per second on a thread of its own. Nothing ever waits for that thread: a driver that
// does not answer costs the figures alone.
#pragma once

#include <memory>
#include <string>

#include "backends/common/nvml.h"
#include "core/runtime/backend.h"

namespace tandem {

class HealthMonitor {
 public:
  // bus: the device's PCI bus id, as for Nvml; patience: then take says that nothing was heard
  explicit HealthMonitor(std::string bus, std::chrono::milliseconds patience = kNvmlPatience);
  ~HealthMonitor();
  HealthMonitor(const HealthMonitor&) = delete;
  HealthMonitor& operator=(const HealthMonitor&) = delete;

  // The newest sample; none where it was taken before. Says once, for people, what is left out and why.
  std::optional<Health> take();

 private:
  struct Shared;
  std::shared_ptr<Shared> shared_;
};

}  // namespace tandem
