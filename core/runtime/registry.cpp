#include "core/runtime/registry.h"

#include <algorithm>
#include <charconv>

namespace tandem {
namespace {

// CUDA first, then Vulkan: a discrete GPU, an integrated one, software
int preference(const DeviceInfo& d) {
  return (d.backend == "cuda" ? 0 : 10) + 2 - int(d.kind);
}

struct Wanted {
  std::string backend;  // empty: any
  uint32_t index = 0;
  bool any_index = true;
};

Wanted parse(const std::string& name) {
  Wanted wanted;
  const size_t colon = name.find(':');
  wanted.backend = name.substr(0, colon);
  if (colon != std::string::npos) {
    const char *first = name.data() + colon + 1, *last = name.data() + name.size();
    const auto [end, error] = std::from_chars(first, last, wanted.index);
    if (error != std::errc() || end != last || wanted.backend == "auto")
      fail(Exit::configuration, "backend", "'{}' is not auto, vulkan, cuda or BACKEND:N with a device number", name);
    wanted.any_index = false;
  }
  if (wanted.backend != "auto" && wanted.backend != "vulkan" && wanted.backend != "cuda")
    fail(Exit::configuration, "backend", "'{}' is unknown; use auto, vulkan or cuda", name);
  if (wanted.backend == "auto") wanted.backend.clear();
  return wanted;
}

}  // namespace

std::vector<std::string> Registry::backends() const {
  std::vector<std::string> names;
  for (const BackendFactory& factory : factories_) names.push_back(factory.name);
  return names;
}

DeviceReport Registry::devices() const {
  DeviceReport report;
  report.missing = missing_;
  for (const BackendFactory& factory : factories_) {
    DeviceList list = factory.devices();
    if (list.devices.empty()) report.missing.push_back({factory.name, list.missing});
    std::move(list.devices.begin(), list.devices.end(), std::back_inserter(report.devices));
  }
  return report;
}

DeviceInfo Registry::choose(const std::string& name) const {
  const Wanted wanted = parse(name);
  DeviceReport report = devices();
  std::erase_if(report.devices, [&](const DeviceInfo& d) {
    return (!wanted.backend.empty() && d.backend != wanted.backend) || (!wanted.any_index && d.index != wanted.index);
  });
  if (!report.devices.empty())
    return *std::min_element(report.devices.begin(), report.devices.end(),
                             [](const DeviceInfo& a, const DeviceInfo& b) { return preference(a) < preference(b); });
  std::string reasons;
  for (const auto& m : report.missing)
    if (wanted.backend.empty() || m.backend == wanted.backend) reasons += fmt::format("; {}: {}", m.backend, m.reason);
  fail(Exit::device, "backend", "no device for '{}'{}; 'tandem devices' lists what there is", name, reasons);
}

std::unique_ptr<Backend> Registry::open(const DeviceInfo& device) const {
  for (const BackendFactory& factory : factories_)
    if (factory.name == device.backend) return factory.open(device.index);
  fail(Exit::device, "backend", "{} is not part of this build", device.backend);
}

void check_recipe(const DeviceInfo& device, std::string_view recipe) {
  if (std::ranges::find(device.recipes, recipe) == device.recipes.end())
    fail(Exit::configuration, "precision.recipe", "{} does not run on {}:{} ({}); use bf16", recipe, device.backend,
         device.index, device.name);
}

std::string describe(std::string_view recipe, const DeviceInfo& device) {
  return fmt::format("{} on {}:{} ({})", recipe, device.backend, device.index, device.name);
}

}  // namespace tandem
