// A run as viewers show it: its metrics, its files, and what became of it.
#pragma once

#include <memory>
#include <string>

#include "core/report/history.h"
#include "core/report/run_files.h"

namespace tandem::report {

enum class State : uint8_t { running, done, stopped, diverged };
std::string_view name_of(State state);

struct RunView {
  std::string directory, name;  // the directory's last part
  std::string trace;            // in place of profile.json; empty: none
  std::unique_ptr<RunLog> log;
  RunFiles files;
  State state = State::stopped;
  bool alive = false;
  bool vanished = false;  // it was there

  const History& history() const { return log->history(); }
  uint64_t steps() const;  // schedule.steps; 0: not known
};

// Exit::input where the directory is not one.
RunView open_run(const std::string& directory, const std::string& trace);

// Reads what is new of everything; whether lines came or the state changed.
bool refresh(RunView& run);

}  // namespace tandem::report
