// metrics.jsonl: one object a step, one an evaluation; see docs/formats.md.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "core/runtime/backend.h"

namespace tandem {

// Scales that fp8 guessed before it knew them, over a step's micro-steps.
struct ScaleGuesses {
  uint32_t misses = 0, guesses = 0;
};

struct StepMetrics {
  uint64_t step = 0;  // finished steps, from 1
  double loss = 0, grad_norm = 0, learning_rate = 0;
  uint64_t tokens = 0;   // input tokens so far
  uint64_t targets = 0;  // valid ones in this step
  double seconds = 0, tokens_per_second = 0;
  std::optional<double> mfu;  // none when the device's peak is unknown
  uint64_t memory = 0;        // device bytes
  bool skipped = false;
  std::optional<uint32_t> skipped_tensors;   // none where gradients are clipped by the step's norm
  double data_seconds = 0;                   // waited for the loader
  bool copies_timed = false;                 // the step noted how long compute waits for copies
  std::optional<double> copy_seconds;        // so long; none where the device cannot tell
  std::optional<double> save_seconds;        // what saves held up; none where there was none since the line before
  std::optional<double> save_write_seconds;  // a checkpoint written meanwhile took; none where none was done since then
  std::optional<ScaleGuesses> scales;        // none in other recipes than fp8
  Health health;                             // the first rank's device; nothing where no second has passed
};

struct EvalMetrics {
  uint64_t step = 0;
  double loss = 0;
  uint64_t tokens = 0;  // valid targets
  double seconds = 0;   // what it took
};

// Cuts a metrics.jsonl back to the whole lines of steps up to this one; true if an evaluation at it is among them. A
// file that is not there is fine.
bool cut_metrics(const std::string& path, uint64_t step);
// Whether it has an evaluation at this step. A file that is not there has none.
bool was_evaluated(const std::string& path, uint64_t step);

// Appends whole lines, each with the time at which it is written: each is one write(2). Exit::storage naming the file
// when it fails.
class MetricsWriter {
 public:
  explicit MetricsWriter(std::string path);
  ~MetricsWriter();
  MetricsWriter(const MetricsWriter&) = delete;
  MetricsWriter& operator=(const MetricsWriter&) = delete;

  void write(const StepMetrics& m);
  void write(const EvalMetrics& m);
  void sync();  // what was written is on the disk

 private:
  void line(const std::string& text);
  std::string path_;
  int file_;
};

}  // namespace tandem
