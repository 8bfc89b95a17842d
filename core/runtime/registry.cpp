#include "core/runtime/registry.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <charconv>

namespace tandem {
namespace {

struct Wanted {
  std::string backend;  // empty: any
  std::optional<uint32_t> index;
};

Wanted parse(const std::string& name, const std::vector<std::string>& known) {
  Wanted wanted;
  const size_t colon = name.find(':');
  wanted.backend = name.substr(0, colon);
  const std::string words = fmt::format("auto, {}", fmt::join(known, ", "));
  if (colon != std::string::npos) {
    const char *first = name.data() + colon + 1, *last = name.data() + name.size();
    const auto [end, error] = std::from_chars(first, last, wanted.index.emplace());
    if (error != std::errc() || end != last || wanted.backend == "auto")
      fail(Exit::configuration, "backend", "'{}' is not one of {}, or BACKEND:N with a device number", name, words);
  }
  if (wanted.backend != "auto" && std::ranges::find(known, wanted.backend) == known.end())
    fail(Exit::configuration, "backend", "'{}' is unknown, expected one of {}, or BACKEND:N", name, words);
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

std::vector<std::string> Registry::names() const {
  std::vector<std::string> names = backends();
  for (const auto& m : missing_) names.push_back(m.backend);
  return names;
}

int Registry::rank(const DeviceInfo& device) const {
  const auto factory = std::ranges::find(factories_, device.backend, &BackendFactory::name);
  return factory->rank * 3 + 2 - int(device.kind);  // A discrete GPU comes first, software last.
}

DeviceInfo Registry::choose(const std::string& name) const {
  const Wanted wanted = parse(name, names());
  DeviceReport report = devices();
  std::erase_if(report.devices, [&](const DeviceInfo& d) {
    return (!wanted.backend.empty() && d.backend != wanted.backend) || d.index != wanted.index.value_or(d.index);
  });
  if (!report.devices.empty())
    return *std::ranges::min_element(report.devices, {}, [&](const DeviceInfo& d) { return rank(d); });
  std::string reasons;
  for (const auto& m : report.missing)
    if (wanted.backend.empty() || m.backend == wanted.backend) reasons += fmt::format("; {}: {}", m.backend, m.reason);
  fail(Exit::device, "backend", "no device for '{}'{}; 'tandem devices' lists what there is", name, reasons);
}

DevicePointer<Backend> Registry::open(const DeviceInfo& device) const {
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
