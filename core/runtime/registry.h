// The backends linked into this program. The cli fills the registry; the core only asks it.
#pragma once

#include "core/runtime/backend.h"
#include "core/runtime/watchdog.h"

namespace tandem {

struct DeviceReport {
  std::vector<DeviceInfo> devices;
  struct Missing {
    std::string backend, reason;
  };
  std::vector<Missing> missing;  // backends without a device, or not built
};

class Registry {
 public:
  void add(BackendFactory factory) { factories_.push_back(std::move(factory)); }
  // a backend that this build leaves out
  void add_missing(std::string backend, std::string reason) {
    missing_.push_back({std::move(backend), std::move(reason)});
  }

  std::vector<std::string> backends() const;  // Names of those in this build.
  DeviceReport devices() const;
  std::vector<std::string> names() const;  // Those of all backends, also of those that this build leaves out.
  // "auto" (the backend of least rank that has a device, a GPU before software), a backend's name, or BACKEND:N.
  // Exit::device when there is none, Exit::configuration for another word.
  DeviceInfo choose(const std::string& name) const;
  DevicePointer<Backend> open(const DeviceInfo& device) const;

 private:
  int rank(const DeviceInfo& device) const;

  std::vector<BackendFactory> factories_;
  std::vector<DeviceReport::Missing> missing_;
};

// The device can run the recipe: else Exit::configuration proposing bf16.
void check_recipe(const DeviceInfo& device, std::string_view recipe);

// "fp32 on vulkan:0 (NAME)": where "auto" is asked for, what it took
std::string describe(std::string_view recipe, const DeviceInfo& device);

}  // namespace tandem
