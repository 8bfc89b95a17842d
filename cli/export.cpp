#include "core/infer/export.h"

#include "cli/commands.h"

namespace tandem::cli {

void add_export(CLI::App& app, Action& action) {
  CLI::App* command = app.add_subcommand("export", "Convert a checkpoint to a Hugging Face directory");
  struct Options {
    std::string checkpoint, out;
  };
  auto options = std::make_shared<Options>();
  command->add_option("checkpoint", options->checkpoint, "RUN/checkpoints/step_N")->required();
  command->add_option("--out", options->out, "the directory to write; it must not exist, or be empty")->required();
  command->callback([&action, options] {
    action = [options] {
      export_checkpoint(options->checkpoint, options->out);
      return Exit::ok;
    };
  });
}

}  // namespace tandem::cli
