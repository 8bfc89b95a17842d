#include "core/run/inputs.h"

#include <filesystem>

#include "core/base/hash.h"
#include "core/base/message.h"
#include "core/base/parallel.h"
#include "core/model/model_directory.h"
#include "core/run/resume.h"
#include "core/run/settings.h"
#include "core/runtime/ranks.h"

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

// A frozen base is as the run found it: each of its tensors, hashed as its file has it.
std::map<std::string, std::string> hashes_of(const ModelFiles& weights) {
  const std::vector<std::string> names = weights.names();
  std::vector<std::string> hashes(names.size());
  parallel_for(names.size(), 1, [&](uint64_t first, uint64_t last) {
    for (uint64_t i = first; i < last; ++i) hashes[i] = xxh3(weights.file(names[i]).bytes(names[i]));
  });
  std::map<std::string, std::string> base;
  for (size_t i = 0; i < names.size(); ++i) base.emplace(names[i], hashes[i]);
  return base;
}

void check_base(const RunInputs& in) {
  const std::map<std::string, std::string>& before = in.start.checkpoint->manifest().base;
  for (const auto& [name, hash] : before)
    if (const auto now = in.base.find(name); now == in.base.end() || now->second != hash)
      fail(Exit::input, in.model.path, "tensor {:.200} has changed since the run began; restore it, or start a new run",
           name);
}

// The base that adapters stand on, and where they come from.
void open_base(RunInputs& in, const RunConfig& config, bool root) {
  if (in.start.adapter && in.start.adapter->dropout > 0)
    warn(fmt::format("{}: lora_dropout is {}, and nothing is dropped here", in.start.adapter->path,
                     in.start.adapter->dropout));
  if (config.model.from_scratch || !root) return;
  in.base = hashes_of(*in.start.weights);
  if (in.start.checkpoint) check_base(in);
}

}  // namespace

RunInputs open_inputs(const RunConfig& config, bool resume, const std::string& choices, World* world) {
  RunInputs in;
  if (!choices.empty()) in.kernels = read_choices(choices);
  in.model = open_model(config.model.path);
  if (!resume) in.start.adapter = configured_adapter(config.lora, in.model.config);
  in.spec = step_spec(config, in.model.config, lora_of(config.lora, in.start.adapter));
  in.sequences = free_sequences(config);
  compare_files(in, config, world);
  if (resume) {
    in.start.checkpoint.emplace(open_checkpoint(in, config, world));
    keep_batch(in, in.start.checkpoint->manifest(), config);
    in.kernels.given = in.start.checkpoint->manifest().kernels;
    if (config.lora.on()) in.spec.lora = open_adapter(in.start.checkpoint->path(), in.model.config).lora;
  }
  in.spec = replayed(std::move(in.spec), config.replay);
  check_copied_files(in.model.path);
  in.data = open_data(config, in.model, in.spec.shape, world ? world->seat().rank : 0);
  if ((!resume || config.lora.on()) && !config.model.from_scratch) in.start.weights.emplace(open_weights(in.model));
  if (config.lora.on()) open_base(in, config, !world || world->seat().rank == 0);
  return in;
}

}  // namespace tandem
