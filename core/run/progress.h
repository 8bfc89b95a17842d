// What a person sees of a run, on standard error: a bar on a terminal, plain lines otherwise.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>

#include "core/run/metrics.h"

namespace tandem {

class Progress {
 public:
  // tokens: of the run before this process's first step
  Progress(uint64_t steps, uint64_t tokens);
  ~Progress();

  void step(const StepMetrics& m);
  void message(const std::string& text);  // a line of its own, above the bar

 private:
  void draw(const StepMetrics& m);
  void clear();

  uint64_t steps_, tokens_;
  bool terminal_;
  bool drawn_ = false;
  uint64_t first_step_ = 0;
  std::chrono::steady_clock::time_point start_, last_;
};

}  // namespace tandem
