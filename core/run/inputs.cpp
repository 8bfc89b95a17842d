#include "core/run/inputs.h"

#include <filesystem>

#include "core/model/model_directory.h"
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

}  // namespace

RunInputs open_inputs(const RunConfig& config, bool resume, const std::string& choices) {
  RunInputs in;
  if (!choices.empty()) in.kernels = read_choices(choices);
  in.model = open_model(config.model.path);
  in.spec = step_spec(config, in.model.config);
  in.files = run_inputs(config);
  if (resume) {
    in.directory = lock_directory(config.run.directory);
    in.checkpoint.emplace(newest_checkpoint(in.directory->checkpoints()));
    check_resume(in.checkpoint->manifest(), config, in.files);
    remove_unfinished(in.directory->checkpoints());
    in.spec.shape.head_chunks = in.checkpoint->manifest().head_chunks;
    in.kernels.given = in.checkpoint->manifest().kernels;
  }
  check_copied_files(in.model.path);
  in.data = open_data(config, in.model, in.spec.shape);
  if (!resume && !config.model.from_scratch) in.weights.emplace(open_weights(in.model));
  return in;
}

}  // namespace tandem
