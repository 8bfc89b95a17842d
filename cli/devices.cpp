#include <nlohmann/json.hpp>

#include "cli/commands.h"
#include "cli/output.h"

namespace tandem::cli {
namespace {

void print_json(const DeviceReport& report) {
  nlohmann::ordered_json j{{"devices", nlohmann::json::array()}, {"missing", nlohmann::json::array()}};
  for (const DeviceInfo& d : report.devices)
    j["devices"].push_back({{"backend", d.backend},
                            {"index", d.index},
                            {"name", d.name},
                            {"memory_bytes", d.memory_bytes},
                            {"recipes", d.recipes}});
  for (const auto& m : report.missing) j["missing"].push_back({{"backend", m.backend}, {"reason", m.reason}});
  print(j.dump() + "\n");
}

void print_table(const DeviceReport& report) {
  constexpr std::string_view kKinds[] = {"software", "integrated", "discrete"};
  std::string table;
  for (const DeviceInfo& d : report.devices)
    table += fmt::format("{}:{}  {}  {:.1f} GiB  {}  recipes {}\n", d.backend, d.index, d.name,
                         double(d.memory_bytes) / (1 << 30), kKinds[size_t(d.kind)], fmt::join(d.recipes, ", "));
  for (const auto& m : report.missing) table += fmt::format("{}: none, {}\n", m.backend, m.reason);
  print(table);
}

}  // namespace

void add_devices(CLI::App& app, const Registry& registry, Action& action) {
  CLI::App* command =
      app.add_subcommand("devices", "List every backend's devices, what each can do, and why one is missing");
  auto json = std::make_shared<bool>(false);
  command->add_flag("--json", *json, "one JSON object on standard output");
  command->callback([&registry, &action, json] {
    action = [&registry, json] {
      const DeviceReport report = registry.devices();
      *json ? print_json(report) : print_table(report);
      return Exit::ok;
    };
  });
}

}  // namespace tandem::cli
