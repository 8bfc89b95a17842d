#include "core/report/report.h"

#include "cli/commands.h"

namespace tandem::cli {
namespace {

constexpr const char* kHelp =
    R"(Show runs: one HTML file with their curves, where a step's time goes and where the bytes go.

  tandem report runs/first --out first.html
  tandem report runs/first runs/second --out both.html
  tandem report runs/first --tensorboard events --follow
The page needs no network and no other file. Nothing is written into the runs.)";

}  // namespace

void add_report(CLI::App& app, Action& action) {
  CLI::App* command = app.add_subcommand("report", kHelp);
  auto o = std::make_shared<report::ReportOptions>();
  command->add_option("runs", o->runs, "run directories, 1 to 8")->required();
  command->add_option("--out", o->out, "the page, an HTML file");
  command->add_option("--profile", o->trace, "the file of train --profile, in place of the run's profile.json");
  command->add_option("--tensorboard", o->tensorboard,
                      "a directory for event files, one run in each of its directories");
  command->add_flag("--follow", o->follow, "go on until the runs have ended; the page reloads itself");
  command->callback([&action, o] { action = [o] { return report::make_report(*o); }; });
}

}  // namespace tandem::cli
