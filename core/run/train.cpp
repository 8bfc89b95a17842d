#include "core/run/train.h"

#include <filesystem>

#include "core/run/launch.h"
#include "core/run/replay.h"
#include "core/run/run.h"
#include "core/runtime/ranks.h"

namespace tandem {
namespace {

// The profile is written after some steps, which a wrong path would waste.
void check_profile(const std::string& profile, const std::string& run_directory) {
  namespace fs = std::filesystem;
  const auto clean = [](const fs::path& directory) { return (directory / "").lexically_normal(); };
  const fs::path file(profile), directory = file.parent_path(), run = clean(run_directory);
  std::error_code none;
  if (!file.empty() && (is_directory(file, none) || clean(file) == run))
    fail(Exit::storage, profile, "is a directory; name a file for the profile");
  if (!directory.empty() && !is_directory(directory, none) && clean(directory) != run)
    fail(Exit::storage, profile, "the directory that it is to stand in is not there");
}

// Streams are stored before the run directory is made, which has to be empty then; other runs read them, too.
void check_streams_place(const RunConfig& config) {
  if (config.replay.on() && is_inside(config.replay.directory, config.run.directory))
    fail(Exit::configuration, "replay.directory",
         "{} lies in the run directory {}, expected one beside it; name another", config.replay.directory,
         config.run.directory);
}

// What the configuration and the options say, before anything large is read.
void check_config(const RunConfig& config, const TrainOptions& options) {
  check_streams_place(config);
  check_profile(options.profile, config.run.directory);
  if (!options.resume) require_empty(config.run.directory);
  else if (!options.choices.empty())
    fail(Exit::configuration, "--choices", "goes with a new run; one that is resumed keeps its checkpoint's kernels");
}

// torchrun starts all ranks anew once one has failed: they go on from the newest checkpoint, or from the start.
TrainOptions after_restart(TrainOptions options, const RunConfig& config, uint32_t rank) {
  options.resume = !checkpoint_steps(RunDirectory::checkpoints_of(config.run.directory)).empty();
  if (options.resume || rank > 0) return options;
  std::error_code none;
  for (const char* file : {"config.toml", "plan.json", "metrics.jsonl"})
    std::filesystem::remove(std::filesystem::path(config.run.directory) / file, none);
  return options;
}

}  // namespace

Exit train(const RunConfig& config, const Registry& registry, const TrainOptions& asked) {
  Signals signals;  // Declared first: a signal during start-up counts.
  const std::optional<Launch> launch =
      read_launch(config.distributed.devices, config.run.directory, config_text(config) + asked.build);
  const TrainOptions options = launch && launch->restarted ? after_restart(asked, config, launch->rank) : asked;
  const auto train_rank = [&](World* world) {
    if (!world || world->seat().rank == 0) check_config(config, options);
    StartTimes times;
    RunInputs inputs = open_inputs(config, options.resume, options.choices, world);
    times.took("data");
    Engine engine = open_engine(config, registry, inputs, world, times);
    open_streams(config, engine, inputs, signals);
    if (config.replay.on()) times.took("streams");
    load_step(engine, inputs, times);
    inputs.data.train->deal(engine.spec.shape.micro_batch, engine.spec.shape.accumulation);
    if (inputs.start.checkpoint) restore(engine, config.model, inputs);
    else fill(engine, config.model, inputs);
    times.took("parameters");
    Run run = start_run(config, signals, options, engine, std::move(inputs), std::move(times));
    return train_steps(run, engine);
  };
  const auto train_among = [&](World& world) { return train_rank(&world); };
  if (launch) return run_process(*launch, train_among);
  if (config.distributed.devices > 1) return run_threads(config.distributed.devices, train_among);
  return train_rank(nullptr);
}

}  // namespace tandem
