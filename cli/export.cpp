#include "core/infer/export.h"

#include "cli/commands.h"
#include "core/base/error.h"

namespace tandem::cli {
namespace {

struct Options {
  std::string checkpoint, model, out;
  bool merge = false;
};

Exit run(const Options& o) {
  if (!o.merge && !o.model.empty())
    fail(Exit::configuration, "--model", "names the base to merge an adapter into; give --merge too");
  if (o.merge) export_merged(o.checkpoint, o.model, o.out);
  else export_checkpoint(o.checkpoint, o.out);
  return Exit::ok;
}

}  // namespace

void add_export(CLI::App& app, Action& action) {
  CLI::App* command =
      app.add_subcommand("export", "Convert a checkpoint to a Hugging Face directory, or a LoRA run's to a PEFT one");
  auto o = std::make_shared<Options>();
  command->add_option("checkpoint", o->checkpoint, "RUN/checkpoints/step_N; with --merge a PEFT directory too")
      ->required();
  command->add_flag("--merge", o->merge, "a whole model, the adapter added to its base");
  command->add_option("--model", o->model, "the base, a Hugging Face directory; default: the run's");
  command->add_option("--out", o->out, "the directory to write; it must not exist, or be empty")->required();
  command->callback([&action, o] { action = [o] { return run(*o); }; });
}

}  // namespace tandem::cli
