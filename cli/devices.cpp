#include <filesystem>
#include <nlohmann/json.hpp>

#include "cli/commands.h"
#include "cli/output.h"
#include "core/base/file.h"
#include "core/base/message.h"
#include "core/rates/calibrate.h"
#include "core/rates/calibrate_links.h"

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

struct Options {
  bool json = false, calibrate = false;
  std::string device = "auto", out;
};

// The devices of its name, which ranks may take side by side; software devices share one processor and are left out.
std::vector<DeviceInfo> siblings_of(const DeviceInfo& device, const Registry& registry) {
  std::vector<DeviceInfo> siblings;
  for (const DeviceInfo& other : registry.devices().devices)
    if (other.backend == device.backend && other.name == device.name && other.kind != DeviceInfo::Kind::software)
      siblings.push_back(other);
  return siblings;
}

// The table of the chosen device, to standard output or to a file that is not there yet.
void print_calibration(const Options& o, const Registry& registry) {
  if (!o.out.empty() && !o.out.ends_with(".toml"))
    fail(Exit::configuration, "--out", "'{}' is not the name of a device table, expected one that ends in .toml",
         o.out);
  if (!o.out.empty() && file_exists(o.out))
    fail(Exit::configuration, o.out, "exists, and is not overwritten; remove it or choose another --out");
  if (const auto directory = std::filesystem::path(o.out).parent_path(); !directory.empty() && !file_exists(directory))
    fail(Exit::storage, o.out, "the directory that it is to stand in is not there");
  const DeviceInfo device = registry.choose(o.device);
  const auto progress = [](const std::string& what) { write_message(fmt::format("tandem: measuring {}\n", what)); };
  DeviceTable table = calibrate(*registry.open(device), device, progress);
  const std::vector<DeviceInfo> siblings = siblings_of(device, registry);
  if (siblings.size() > 1) table.target.rates.links = calibrate_links(registry, siblings, progress);
  const std::string text = fmt::format("# {}, measured through the {} backend by `tandem devices --calibrate`.\n",
                                       device.name, device.backend) +
                           device_table_text(table);
  if (o.out.empty()) print(text);
  else write_file_synced(o.out, text);
}

}  // namespace

void add_devices(CLI::App& app, const Registry& registry, Action& action) {
  CLI::App* command =
      app.add_subcommand("devices", "List every backend's devices, what each can do, and why one is missing");
  auto o = std::make_shared<Options>();
  CLI::Option* json = command->add_flag("--json", o->json, "one JSON object on standard output");
  CLI::Option* calibrate =
      command->add_flag("--calibrate", o->calibrate, "measure a device's rates, as a table that plan --device takes")
          ->excludes(json);
  command->add_option("--device", o->device, "auto or BACKEND[:N], the one to calibrate")->needs(calibrate);
  command->add_option("--out", o->out, "FILE.toml for the table; else standard output")->needs(calibrate);
  command->callback([&registry, &action, o] {
    action = [&registry, o] {
      if (o->calibrate) {
        print_calibration(*o, registry);
        return Exit::ok;
      }
      const DeviceReport report = registry.devices();
      o->json ? print_json(report) : print_table(report);
      return Exit::ok;
    };
  });
}

}  // namespace tandem::cli
