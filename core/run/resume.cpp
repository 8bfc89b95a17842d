#include "core/run/resume.h"

#include <fmt/ranges.h>

#include <algorithm>

#include "core/base/message.h"
#include "core/run/config_keys.h"
#include "core/run/settings.h"

namespace tandem {
namespace {

bool may_change(std::string_view key) {
  if (key == "memory.lm_head_chunks") return false;
  return std::ranges::any_of(
      std::initializer_list<std::string_view>{"memory.", "distributed.", "checkpoint.", "run.", "batch."},
      [&](std::string_view section) { return key.starts_with(section); });
}

// What would make the sequences per step what they were, with the devices asked for.
std::string fitting_batch(uint64_t product, const RunConfig& c) {
  std::vector<std::string> ways;
  const auto way = [&](const char* key, uint64_t other) {
    if (const uint64_t rest = other * c.distributed.devices; product % rest == 0)
      ways.push_back(fmt::format("batch.{} = {}", key, product / rest));
  };
  if (c.batch.sequences > 0) return fmt::format("use batch.sequences = {}", product);
  way("gradient_accumulation", c.batch.micro_batch.value());
  way("micro_batch", c.batch.gradient_accumulation.value());
  if (!ways.empty()) return fmt::format("use {}", fmt::join(ways, " or "));
  std::vector<uint64_t> devices;
  for (uint64_t d = 1; d <= product; ++d)
    if (product % d == 0) devices.push_back(d);
  return fmt::format("use distributed.devices of {}", fmt::join(devices, ", "));
}

struct Changed {
  std::string_view key;
  uint64_t was = 0, is = 0;
};

// A key that makes the number of sequences another one.
Changed changed_size(const RunConfig& before, const RunConfig& now) {
  const RunConfig::Batch &was = before.batch, &is = now.batch;
  if (was.sequences > 0 || is.sequences > 0)
    return {"batch.sequences", sequences_per_step(before), sequences_per_step(now)};
  if (before.distributed.devices != now.distributed.devices)
    return {"distributed.devices", before.distributed.devices, now.distributed.devices};
  if (was.micro_batch != is.micro_batch) return {"batch.micro_batch", was.micro_batch.value(), is.micro_batch.value()};
  return {"batch.gradient_accumulation", was.gradient_accumulation.value(), is.gradient_accumulation.value()};
}

// A step's data is a function of its sequences: how they are dealt out may change, their number may not.
void check_batch(const RunConfig& before, const RunConfig& now) {
  const uint64_t was = sequences_per_step(before), is = sequences_per_step(now);
  if (was == is) return;
  const Changed changed = changed_size(before, now);
  fail(Exit::configuration, changed.key,
       "was {} and is {}: a step would have {} sequences over all ranks (micro_batch * gradient_accumulation * "
       "devices), it had {}; {}",
       changed.was, changed.is, is, was, fitting_batch(was, now));
}

void warn_of_ranks(const RunConfig::Distributed& before, const RunConfig::Distributed& now) {
  if (before.devices != now.devices || before.zero != now.zero)
    warn(fmt::format(
        "distributed.devices was {} and is {}, distributed.zero was {} and is {}: sums are taken in another order",
        before.devices, now.devices, before.zero, now.zero));
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
  check_batch(before, config);
  warn_of_ranks(before.distributed, config.distributed);
  check_steps(manifest, before.schedule.steps, config.schedule.steps);
  check_inputs(manifest, inputs);
}

StepShape batch_of(const Manifest& manifest) {
  const RunConfig config = parse_config(manifest.config, "the checkpoint's configuration", {});
  const auto recorded = [](uint32_t count, std::optional<uint32_t> set) { return count > 0 ? count : set.value(); };
  return {recorded(manifest.micro_batch, config.batch.micro_batch),
          recorded(manifest.accumulation, config.batch.gradient_accumulation), config.data.sequence_length,
          manifest.head_chunks};
}

void warn_of_batch(const Manifest& manifest, const StepShape& now) {
  const StepShape before = batch_of(manifest);
  if (before.micro_batch != now.micro_batch || before.accumulation != now.accumulation)
    warn(fmt::format(
        "batch.micro_batch was {} and is {}, batch.gradient_accumulation was {} and is {}: fp8 scales per micro-batch "
        "and the order of sums may differ from those of a run that stays as it was",
        before.micro_batch, now.micro_batch, before.accumulation, now.accumulation));
}

void warn_of_device(const Manifest& manifest, const DeviceInfo& device) {
  if (manifest.backend != device.backend || manifest.device != device.name)
    warn(fmt::format(
        "the checkpoint was made on {} ({}), and the run goes on on {} ({}): bits may differ from those of a "
        "run that stays on one device",
        manifest.backend, manifest.device, device.backend, device.name));
}

}  // namespace tandem
