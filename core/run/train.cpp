#include "core/run/train.h"

#include <filesystem>

#include "core/run/run.h"

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

// What the configuration and the options say, before anything large is read.
void check_config(const RunConfig& config, const TrainOptions& options) {
  check_profile(options.profile, config.run.directory);
  if (!options.resume) require_empty(config.run.directory);
  else if (!options.choices.empty())
    fail(Exit::configuration, "--choices", "goes with a new run; one that is resumed keeps its checkpoint's kernels");
}

}  // namespace

Exit train(const RunConfig& config, const Registry& registry, const TrainOptions& options) {
  Signals signals;  // Declared first: a signal during start-up counts.
  check_config(config, options);
  RunInputs inputs = open_inputs(config, options.resume, options.choices);
  Engine engine = open_engine(config, registry, inputs);
  if (inputs.checkpoint) restore(engine, *inputs.checkpoint);
  else fill(engine, config.model, inputs);
  Run run = start_run(config, signals, options.profile, engine, std::move(inputs));
  return train_steps(run, engine);
}

}  // namespace tandem
