// What SIGTERM, SIGINT, SIGHUP (unless it is ignored at the start) and SIGUSR1 ask of a run. The handlers only set
// flags; the run looks at them between two steps and between two batches of an evaluation. A second SIGINT ends the
// process at once, with 130.
#pragma once

namespace tandem {

// Handles the signals from construction on, one object a process at a time; then as before.
class Signals {
 public:
  Signals();
  ~Signals();
  Signals(const Signals&) = delete;
  Signals& operator=(const Signals&) = delete;

  bool stop() const;  // SIGTERM, SIGINT or SIGHUP came
  bool take_save();   // SIGUSR1 came since the last call
};

}  // namespace tandem
