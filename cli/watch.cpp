#include "core/report/watch.h"

#include "cli/commands.h"

namespace tandem::cli {

void add_watch(CLI::App& app, Action& action) {
  CLI::App* command =
      app.add_subcommand("watch", "Show a run in the terminal until it ends: curves of its last 100 steps, and alarms");
  auto run = std::make_shared<std::string>();
  auto plain = std::make_shared<bool>(false);
  command->add_option("run", *run, "the run directory")->required();
  command->add_flag("--plain", *plain, "a line every 10 s in place of a picture");
  command->callback([&action, run, plain] { action = [run, plain] { return report::watch(*run, *plain); }; });
}

}  // namespace tandem::cli
