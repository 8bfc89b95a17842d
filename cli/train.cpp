#include "core/train/trainer.h"

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
  auto resume = std::make_shared<bool>(false);
  command->add_flag("--resume", *resume, "go on from the newest sound checkpoint of the run directory");
  command->allow_extras();
  command->callback([&registry, &action, command, path, resume] {
    action = [&registry, command, path, resume] {
      return train(load_config(*path, overrides_of(*command)), registry, *resume);
    };
  });
}

}  // namespace tandem::cli
