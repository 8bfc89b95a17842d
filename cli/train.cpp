#include "core/run/train.h"
#include "core/build_id.h"

#include "cli/commands.h"

namespace tandem::cli {
namespace {

constexpr const char* kHelp = R"(Train as a TOML file says; the run directory holds everything.

Every key of the file can be set from the command line: --section.key=value, for example
  tandem train config.toml --optimizer.learning_rate=3e-4 --run.directory=runs/second
Relative paths start at the current directory. docs/formats.md lists all keys.)";

}  // namespace

std::vector<std::string> overrides_of(const CLI::App& command) {
  std::vector<std::string> overrides = command.remaining();
  for (const std::string& o : overrides)
    if (!o.starts_with("--") || o.find('.') == std::string::npos || o.find('=') == std::string::npos)
      fail(Exit::configuration, command.get_name(),
           "unknown argument '{}'; a key is set by --section.key=value, the rest: tandem {} --help", o,
           command.get_name());
  return overrides;
}

void add_train(CLI::App& app, const Registry& registry, Action& action) {
  CLI::App* command = app.add_subcommand("train", kHelp);
  auto path = std::make_shared<std::string>();
  command->add_option("config", *path, "the TOML file")->required();
  auto options = std::make_shared<TrainOptions>();
  options->build = kBuildId;
  options->version = version().number;
  options->commit = version().commit;
  command->add_flag("--resume", options->resume, "go on from the newest sound checkpoint of the run directory");
  command->add_option("--profile", options->profile,
                      "time the instructions of the third step into this JSON file, for chrome://tracing or Perfetto");
  command->add_option(
      "--choices", options->choices,
      "GEMM algorithms as a plan.json, manifest.json or map has them, or 'default': the library's first "
      "proposals; nothing is timed");
  command->allow_extras();
  command->callback([&registry, &action, command, path, options] {
    action = [&registry, command, path, options] {
      return train(load_config(*path, overrides_of(*command)), registry, *options);
    };
  });
}

}  // namespace tandem::cli
