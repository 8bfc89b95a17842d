#include "core/run/inputs.h"

#include <filesystem>

#include "core/model/model_directory.h"
#include "core/run/ranks.h"
#include "core/run/resume.h"
#include "core/run/settings.h"

namespace tandem {
namespace {

std::unique_ptr<RunDirectory> lock_directory(const std::string& directory) {
  std::error_code none;
  if (!std::filesystem::is_directory(directory, none))
    fail(Exit::input, directory, "is not a directory, so there is no run to resume; leave --resume out");
  return std::make_unique<RunDirectory>(directory);
}

// Peers take the root's, whose bytes it has read.
Checkpoint open_checkpoint(RunInputs& in, const RunConfig& config, World* world) {
  uint64_t step = 0;
  const auto tell = [&] {
    if (world) world->broadcast(std::as_writable_bytes(std::span(&step, 1)), 0, "checkpoint");
  };
  if (world && world->seat().rank > 0) {
    tell();
    return Checkpoint(RunDirectory::checkpoints_of(config.run.directory) + "/" + checkpoint_name(step),
                      Verified::sizes);
  }
  in.directory = lock_directory(config.run.directory);
  Checkpoint newest = newest_checkpoint(in.directory->checkpoints());
  check_resume(newest.manifest(), config, in.files);
  remove_unfinished(in.directory->checkpoints());
  step = newest.manifest().step;
  tell();
  return newest;
}

// A batch that the planner chose holds as long as as many ranks share it, and LM-head chunks with their micro_batch.
void keep_batch(RunInputs& in, const Manifest& manifest, const RunConfig& config) {
  const StepShape was = batch_of(manifest);
  StepShape& shape = in.spec.shape;
  if (in.sequences > 0 && manifest.world.ranks == config.distributed.devices) {
    shape.micro_batch = was.micro_batch;
    shape.accumulation = was.accumulation;
    in.sequences = 0;
  }
  if (in.sequences > 0 || shape.micro_batch != was.micro_batch) return;
  in.head_chunks = shape.head_chunks = manifest.head_chunks;
}

// Every host reads the same data: one of its ranks hashes it.
void compare_files(RunInputs& in, const RunConfig& config, World* world) {
  if (!world || world->seat().local_rank == 0) in.files = run_inputs(config);
  if (!world) return;
  std::string text;
  for (const InputFile& file : in.files) text += fmt::format("{} {} ", file.bytes, file.hash);
  require_same(*world, text, "data files", "copy them anew, under the same names");
}

}  // namespace

RunInputs open_inputs(const RunConfig& config, bool resume, const std::string& choices, World* world) {
  RunInputs in;
  if (!choices.empty()) in.kernels = read_choices(choices);
  in.model = open_model(config.model.path);
  in.spec = step_spec(config, in.model.config);
  in.sequences = free_sequences(config);
  compare_files(in, config, world);
  if (resume) {
    in.checkpoint.emplace(open_checkpoint(in, config, world));
    keep_batch(in, in.checkpoint->manifest(), config);
    in.kernels.given = in.checkpoint->manifest().kernels;
  }
  check_copied_files(in.model.path);
  in.data = open_data(config, in.model, in.spec.shape, world ? world->seat().rank : 0);
  if (!resume && !config.model.from_scratch) in.weights.emplace(open_weights(in.model));
  return in;
}

}  // namespace tandem
