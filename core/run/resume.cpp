#include "core/run/resume.h"

#include <algorithm>

#include "core/base/message.h"
#include "core/run/config_keys.h"
#include "core/run/settings.h"

namespace tandem {
namespace {

bool may_change(std::string_view key) {
  if (key == "memory.lm_head_chunks") return false;
  return std::ranges::any_of(std::initializer_list<std::string_view>{"memory.", "distributed.", "checkpoint.", "run."},
                             [&](std::string_view section) { return key.starts_with(section); });
}

void check_steps(const Manifest& manifest, uint64_t before, uint64_t now) {
  if (now < manifest.step)
    fail(Exit::configuration, "schedule.steps", "is {}, and {} steps are done; use at least as many", now,
         manifest.step);
  if (now != before)
    warn(fmt::format("schedule.steps was {} and is {}: the result is not that of a run which had {} from its start",
                     before, now, now));
}

void check_inputs(const Manifest& manifest, const std::vector<InputFile>& inputs) {
  if (manifest.inputs.size() != inputs.size())  // patterns match other files
    fail(Exit::input, "data.train, data.eval", "are {} files, {} when the run began; restore them, or start a new run",
         inputs.size() - 1, manifest.inputs.size() - 1);
  for (size_t i = 0; i < inputs.size(); ++i)
    if (inputs[i].hash != manifest.inputs[i].hash || inputs[i].bytes != manifest.inputs[i].bytes)
      fail(Exit::input, inputs[i].path,
           "has changed since the run began (XXH3 {} and {} bytes, then {} and {}); restore it, or start a new run",
           inputs[i].hash, inputs[i].bytes, manifest.inputs[i].hash, manifest.inputs[i].bytes);
}

}  // namespace

Checkpoint newest_checkpoint(const std::string& directory) {
  for (const uint64_t step : checkpoint_steps(directory)) {
    try {
      Checkpoint checkpoint(directory + "/" + checkpoint_name(step));
      if (checkpoint.manifest().step != step)
        fail(Exit::input, checkpoint.path(), "is the checkpoint of step {} under another name",
             checkpoint.manifest().step);
      return checkpoint;
    } catch (const Error& e) {
      if (e.exit() != Exit::input) throw;
      warn(fmt::format("{} cannot be used, the next older one is tried: {}", checkpoint_name(step), e.what()));
    }
  }
  fail(Exit::input, directory, "holds no checkpoint to resume; remove the run directory and start again");
}

void check_resume(const Manifest& manifest, const RunConfig& config, const std::vector<InputFile>& inputs) {
  const RunConfig before = parse_config(manifest.config, "the checkpoint's configuration", {});
  for (const ConfigKey& key : config_keys()) {
    const std::string was = key.write(before), is = key.write(config);
    if (was == is || may_change(key.name) || key.name == "schedule.steps") continue;
    fail(Exit::configuration, key.name, "was {} and is {}; a resumed run keeps it", was, is);
  }
  check_steps(manifest, before.schedule.steps, config.schedule.steps);
  check_inputs(manifest, inputs);
}

void warn_of_device(const Manifest& manifest, const DeviceInfo& device) {
  if (manifest.backend != device.backend || manifest.device != device.name)
    warn(fmt::format(
        "the checkpoint was made on {} ({}), and the run goes on on {} ({}): bits may differ from those of a "
        "run that stays on one device",
        manifest.backend, manifest.device, device.backend, device.name));
}

}  // namespace tandem
