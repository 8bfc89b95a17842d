#include "core/report/run_files.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <filesystem>
#include <sstream>

#include "core/base/file.h"
#include "core/base/toml.h"
#include "core/run/checkpoint.h"
#include "core/run/run_directory.h"

namespace tandem::report {
namespace {

namespace fs = std::filesystem;

// Runs read, and returns why it could not; empty: it could.
template <typename Read>
std::string fault_of(const std::string& path, const std::string& name, const Read& read) {
  std::error_code none;
  if (!fs::exists(path, none)) return name + ": it is not there";
  try {
    read();
    return "";
  } catch (const Error& e) {
    return fmt::format("{}: {}", name, e.what());
  }
}

void flatten(const toml::table& table, const std::string& prefix, std::map<std::string, std::string>& keys) {
  for (const auto& [key, node] : table) {
    const std::string name = prefix + std::string(key.str());
    if (const toml::table* inner = node.as_table()) {
      flatten(*inner, name + ".", keys);
    } else {
      std::ostringstream text;
      node.visit([&](const auto& value) { text << value; });
      keys[name] = text.str();
    }
  }
}

// A number of seconds or a null; NaN where it is not known.
double seconds_of(const JsonObject& object, std::string_view key) {
  const std::optional<double> value = object.number(key);
  return value && *value >= 0 ? *value : std::nan("");
}

std::vector<JsonObject> objects_of(const Json& list, const std::string& name, std::string_view key) {
  std::vector<JsonObject> objects;
  const Json& found = child(list, std::string(key).c_str());
  if (found.is_null()) return objects;
  if (!found.is_array()) fail(Exit::input, name, "{} is not a list", key);
  for (const Json& entry : found) {
    if (!entry.is_object()) fail(Exit::input, name, "{} has an entry that is not an object", key);
    objects.emplace_back(entry, name, Exit::input, std::string(key));
  }
  return objects;
}

std::vector<CostClass> classes_of(const Json& json, const std::string& name) {
  std::vector<CostClass> classes;
  for (const JsonObject& c : objects_of(json, name, "classes"))
    classes.push_back({c.string("name").value_or(""), seconds_of(c, "seconds"), seconds_of(c, "floor_seconds")});
  return classes;
}

// A size as people read it, or the figure itself where it counts something else.
std::string environment_text(const std::string& key, const Json& value) {
  if (value.is_string()) return value.get<std::string>();
  if (value.is_array()) {
    std::string all;
    for (const Json& part : value) all += (all.empty() ? "" : ", ") + (part.is_string() ? part.get<std::string>() : "");
    return all;
  }
  if (key == "memory_bytes" && value.is_number_unsigned())
    return fmt::format("{:.1f} GiB", value.get<double>() / (1 << 30));
  return value.is_number() ? value.dump() : "";
}

PlanFile plan_of(const Json& json, const std::string& name) {
  const JsonObject object(json, name, Exit::input);
  PlanFile plan;
  plan.step_seconds = object.number("step_seconds");
  plan.floor_seconds = object.number("floor_seconds");
  plan.exposed_copy = object.number("exposed_copy_seconds");
  plan.exposed_exchange = object.number("exposed_exchange_seconds");
  plan.classes = classes_of(json, name);
  plan.device_bytes = object.integer("device_bytes").value_or(0);
  plan.host_bytes = object.integer("host_bytes").value_or(0);
  for (const JsonObject& row : objects_of(json, name, "bytes"))
    plan.bytes.push_back(
        {row.string("name").value_or(""), row.integer("device").value_or(0), row.integer("host").value_or(0)});
  if (const auto budgets = object.object("budgets")) {
    plan.device_budget = budgets->integer("device").value_or(0);
    plan.host_budget = budgets->integer("host").value_or(0);
  }
  for (const JsonObject& line : objects_of(json, name, "policy"))
    plan.policy.emplace_back(line.string("name").value_or(""), line.string("text").value_or(""));
  if (const auto peak = object.object("peak")) {
    plan.peak.emplace(PlanFile::Peak{peak->string("range").value_or(""),
                                     peak->string("label").value_or(""),
                                     peak->integer("bytes").value_or(0),
                                     {}});
    for (const JsonObject& v : objects_of(json.at("peak"), name, "alive"))
      plan.peak->alive.push_back({v.string("name").value_or(""), v.string("kind").value_or(""), v.integer("layer"),
                                  v.integer("bytes").value_or(0)});
  }
  if (object.object("environment"))
    for (const auto& [key, value] : json.at("environment").items())
      if (std::string text = environment_text(key, value); !text.empty()) plan.environment.emplace_back(key, text);
  return plan;
}

ProfileFile profile_of(const Json& json, const std::string& name) {
  const JsonObject object(json, name, Exit::input);
  return {object.integer("step").value_or(0), classes_of(json, name), object.number("exposed_copy_seconds"),
          object.number("exposed_exchange_seconds")};
}

// What a wait of compute's adds to.
std::optional<double>& wait_of(ProfileFile& profile, const std::optional<JsonObject>& arguments) {
  return arguments && arguments->string("for") == "exchange" ? profile.exposed_exchange : profile.exposed_copy;
}

// A trace's instructions by their class, and how long compute waited.
ProfileFile profile_of_trace(const std::string& path) {
  const Json json = parse_json(read_text(path), path);
  if (!json.is_object() || !child(json, "traceEvents").is_array())
    fail(Exit::input, path, "has no list traceEvents; name a file that tandem train --profile has written");
  ProfileFile profile;
  for (const JsonObject& event : objects_of(json, path, "traceEvents")) {
    if (event.string("ph") != "X") continue;
    const auto duration = event.number("dur");
    const auto arguments = event.object("args");
    if (event.string("cat") == "wait") {
      if (auto& wait = wait_of(profile, arguments); event.integer("tid") == 0)
        wait = wait.value_or(0) + duration.value_or(0) * 1e-6;
      continue;
    }
    const auto name = arguments ? arguments->string("class") : std::nullopt;
    if (!duration || !name)
      fail(Exit::input, path,
           "an event has no dur or no args.class; name a file that this version's train --profile has written");
    auto found = std::ranges::find(profile.classes, *name, &CostClass::name);
    if (found == profile.classes.end()) found = profile.classes.insert(found, {*name, 0, 0});
    found->seconds += *duration * 1e-6;
    const double floor = seconds_of(*arguments, "floor_us") * 1e-6;
    const bool has_none = event.string("cat") == "fill" || *name == "copies" || *name == "exchange";
    found->floor += std::isfinite(floor) ? floor : has_none ? 0 : std::nan("");
  }
  if (profile.classes.empty()) fail(Exit::input, path, "holds no instruction; name a file of tandem train --profile");
  return profile;
}

CheckpointEntry checkpoint_of(const fs::path& path, uint64_t step) {
  CheckpointEntry entry{.step = step};
  std::error_code none;
  for (const auto& file : fs::directory_iterator(path, none))
    if (file.is_regular_file(none)) entry.bytes += file.file_size(none);
  const std::string manifest = (path / "manifest.json").string();
  entry.fault = fault_of(manifest, "manifest.json", [&] {
    if (!parse_json(read_text(manifest), manifest).is_object()) fail(Exit::input, manifest, "is not an object");
  });
  return entry;
}

// In the order of their steps.
std::vector<CheckpointEntry> checkpoints_of(const std::string& run) {
  const std::string directory = RunDirectory::checkpoints_of(run);
  std::vector<CheckpointEntry> list;
  for (const uint64_t step : checkpoint_steps(directory))
    list.push_back(checkpoint_of(directory + "/" + checkpoint_name(step), step));
  std::ranges::reverse(list);
  return list;
}

}  // namespace

std::optional<double> ConfigFile::number(const std::string& key) const {
  const auto found = keys.find(key);
  if (found == keys.end()) return {};
  double value = 0;
  const char* const end = found->second.data() + found->second.size();
  const auto [at, error] = std::from_chars(found->second.data(), end, value);
  return error == std::errc{} && at == end ? std::optional(value) : std::nullopt;
}

RunFiles read_run_files(const std::string& directory, const std::string& trace) {
  RunFiles files;
  const std::string config = directory + "/config.toml", plan = directory + "/plan.json",
                    profile = directory + "/profile.json";
  files.config_fault = fault_of(config, "config.toml", [&] {
    files.config.text = read_text(config);
    flatten(parse_toml(files.config.text, config), "", files.config.keys);
  });
  files.plan_fault =
      fault_of(plan, "plan.json", [&] { files.plan = plan_of(parse_json(read_text(plan), plan), plan); });
  if (!files.plan_fault.empty()) files.plan = {};
  if (!trace.empty()) {
    files.profile = profile_of_trace(trace);
  } else if (file_exists(profile)) {
    files.profile_fault = fault_of(
        profile, "profile.json", [&] { files.profile = profile_of(parse_json(read_text(profile), profile), profile); });
  }
  files.checkpoints = checkpoints_of(directory);
  std::error_code none;
  files.has_model = fs::exists(directory + "/model", none) || fs::exists(directory + "/adapter", none);
  return files;
}

}  // namespace tandem::report
