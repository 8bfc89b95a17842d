// All that viewers keep of a run's metrics: series, quantiles, totals and marks, taken in line by line.
#pragma once

#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/report/metrics_file.h"
#include "core/report/metrics_line.h"
#include "core/report/series.h"

namespace tandem::report {

constexpr size_t kRecent = 100;

struct Evaluation {
  uint64_t step = 0;
  double loss = 0;  // NaN: not finite
  double targets = 0;
};

// Figures by step.
struct StepSeries {
  Series loss, grad_norm, learning_rate, tokens_per_second, memory, power, temperature;
  Series scale_misses;  // the share of guessed scales that were wrong

  void add(const Place& place, const Line& line);
};

// What is in a bucket is how much of it.
struct StepMarks {
  Series skipped, saves, evaluation_seconds, gaps;
};

struct StepQuantiles {
  Quantiles seconds, rates, data_seconds, copy_seconds;

  void add(const Line& line);
};

struct Evaluations {
  Series losses;
  std::optional<Evaluation> last, best;
  uint64_t rose = 0;  // in a row, at the end

  void add(const Place& place, const Line& line);
};

// What a device has taken, by a meter that starts at 0 with each process.
struct Energy {
  double joules = 0, meter = 0;

  void read(double now);
};

struct Totals {
  uint64_t skipped_steps = 0;
  double scales_missed = 0, scales_guessed = 0;
  double evaluating = 0, saving = 0;  // seconds
  Energy energy;
  double largest_memory = 0;

  void add_step(const Line& line);
};

// The first and the last of a run.
struct Ends {
  std::optional<Line> first, last;  // steps
  std::optional<double> first_time, last_time;

  double wall_seconds() const;  // NaN where lines have no time
};

struct History {
  StepSeries series;
  StepMarks marks;
  StepQuantiles quantiles;
  Evaluations evaluations;
  Totals totals;
  Ends ends;
  uint64_t skipped_in_a_row = 0;  // at the end, steps without targets left out
  std::deque<Line> recent;        // the last steps, at most kRecent
  Place place;                    // the last step's

  void add(const Line& line);

 private:
  void add_step(const Line& line);
  void add_evaluation(const Line& line);
  void mark_gap(const Line& line);

  double evaluating_since_ = 0;  // since the last step's line
};

// The metrics of a run directory as far as they are written. What it holds after any number of reads is what a new one
// reads at once: where steps repeat or go back the later line holds.
class RunLog {
 public:
  explicit RunLog(const std::string& path) : path_(path), file_(path) {}

  bool read();  // Whether anything changed; false where the file is gone or was never there.
  bool gone() const { return gone_; }
  const History& history() const { return *history_; }
  uint64_t bad_lines() const { return bad_; }
  uint64_t first_bad_line() const { return first_bad_; }  // from 1
  const std::string& path() const { return path_; }

 private:
  void take(std::string_view text);
  void sort_out();  // Reads the file again, by step.
  void reset();

  std::string path_;
  MetricsFile file_;
  std::unique_ptr<History> history_ = std::make_unique<History>();
  uint64_t lines_ = 0, bad_ = 0, first_bad_ = 0;
  uint64_t last_step_ = 0, last_evaluation_ = 0;
  bool out_of_order_ = false, gone_ = false;
};

}  // namespace tandem::report
