// Where a step's time and a device's bytes go, as parts of a whole: what views 6 and 7 draw and the page's JSON holds.
#pragma once

#include <string>
#include <vector>

#include "core/report/history.h"
#include "core/report/run_files.h"

namespace tandem::report {

struct TimePart {
  std::string name;
  double seconds = 0;
  double floor = 0;  // NaN: not known
  int colour = 0;    // a class's is the same in every run
};

struct StepTime {
  double median = 0;            // the step's seconds, as measured
  bool measured = false;        // parts are timed, else predicted
  double scale = 1;             // by which parts were made smaller, where they take more than the step together
  std::vector<TimePart> parts;  // they sum to the median
  bool empty() const { return parts.empty(); }
};

// Products, attention, passes, optimizer, exchange, waiting for copies, waiting for data, and the rest.
StepTime step_time(const History& history, const RunFiles& files);

// "Products take 68% of the step at 1.04 of their floor; waiting for copies takes 2.7%."
std::string sentence_of(const StepTime& time);

struct BytePart {
  std::string name;
  uint64_t device = 0, host = 0;
  int colour = 0;
};

struct Bytes {
  std::vector<BytePart> parts;  // parameters, gradients, states, codes, activations, staging, context, other
  uint64_t device = 0, host = 0, device_budget = 0, host_budget = 0;
  bool empty() const { return parts.empty(); }
};

Bytes bytes_of(const RunFiles& files);

}  // namespace tandem::report
