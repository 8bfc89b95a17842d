#include "core/report/run_view.h"

#include <filesystem>

#include "core/report/alive.h"

namespace tandem::report {
namespace {

namespace fs = std::filesystem;

State state_of(const RunView& run) {
  const History& h = run.history();
  if (run.alive) return State::running;
  const uint64_t steps = run.steps();
  if (h.ends.last && steps > 0 && h.ends.last->step >= steps) return State::done;
  const auto most = run.files.config.number("run.max_skipped");
  if (most && h.skipped_in_a_row > 0 && double(h.skipped_in_a_row) >= *most) return State::diverged;
  return State::stopped;
}

}  // namespace

std::string_view name_of(State state) {
  constexpr std::string_view kNames[] = {"running", "done", "stopped", "diverged"};
  return kNames[size_t(state)];
}

uint64_t RunView::steps() const {
  const auto steps = files.config.number("schedule.steps");
  return steps && *steps > 0 ? uint64_t(*steps) : 0;
}

RunView open_run(const std::string& directory, const std::string& trace) {
  std::error_code none;
  if (!fs::is_directory(directory, none))
    fail(Exit::input, directory, "is not a directory; name the run.directory of a run");
  const fs::path whole = fs::absolute(directory).lexically_normal();
  RunView run{.directory = directory, .name = whole.filename().string(), .trace = trace};
  if (run.name.empty()) run.name = whole.parent_path().filename().string();
  run.log = std::make_unique<RunLog>(directory + "/metrics.jsonl");
  return run;
}

bool refresh(RunView& run) {
  std::error_code none;
  run.vanished = !fs::is_directory(run.directory, none);
  if (run.vanished) return false;
  // Before the lines are read: what a process wrote before its end is then among them.
  const State before = run.state;
  const bool was_alive =
      is_alive(run.directory, run.history().ends.last_time, run.history().quantiles.seconds.median());
  const bool news = run.log->read();
  run.alive = was_alive;
  run.files = read_run_files(run.directory, run.trace);
  run.state = state_of(run);
  return news || run.state != before;
}

}  // namespace tandem::report
