// The windows that a step trains on, as a function of the step alone.
//
// Step s, micro-step k, rank r, row b make sequence n = ((s*A + k)*R + r)*B + b of the run. Without weights it is
// window n mod W of epoch n div W, over all files; or, shuffled, window permuted_window(n mod W): see permutation.h.
// With weights mixture.h says which source it comes from, and which of the source's sequences it is.
#pragma once

#include <cstdint>
#include <vector>

#include "core/data/windows.h"

namespace tandem {

struct LoaderOptions {
  uint32_t micro_batch = 1;   // B, sequences per rank
  uint32_t accumulation = 1;  // A, micro-steps
  uint32_t rank = 0;          // r
  uint32_t ranks = 1;         // R
  bool shuffle = false;
  uint64_t seed = 1;
  std::vector<double> weights = {};  // one per source; none: one source
};

// Some micro-steps of one rank, in order.
struct StepBatch {
  std::vector<int32_t> inputs;           // (A, B, T) token ids
  std::vector<int32_t> targets;          // (A, B, T) token ids; -1: not valid
  std::vector<int32_t> positions;        // (A, B, T) from the start of the window, or of the document in it
  std::vector<std::byte> codes, scales;  // (A, B, T, ...) of windows whose streams are stored: see stream_file.h
  uint64_t valid_targets = 0;            // over all ranks
  uint64_t tokens = 0;                   // inputs that are no padding, over all ranks
};

// Batches for training. Safe to use from several threads.
class Loader {
 public:
  Loader(std::vector<Windows> sources, const LoaderOptions& options);
  Loader(Windows windows, const LoaderOptions& options);

  StepBatch step(uint64_t s) const;
  // Deals the same sequences out to other micro-steps; nothing else may run meanwhile.
  void deal(uint32_t micro_batch, uint32_t accumulation);
  const std::vector<Windows>& sources() const { return sources_; }
  std::vector<Windows>& sources() { return sources_; }  // to attach streams; nothing else may run meanwhile
  // Sequences of each block of the run that a source has; empty without weights.
  const std::vector<uint32_t>& counts() const { return counts_; }

 private:
  struct Place {
    const Windows& windows;
    uint64_t window;
  };
  Place place_of(uint64_t n) const;

  LoaderOptions options_;
  std::vector<Windows> sources_;
  std::vector<uint32_t> counts_;
};

// One rank's share of windows first .. first+count-1 for evaluation, dealt out to micro-steps and ranks as the
// sequences of a step are; the rest has targets -1. count is at most A * R * B; valid_targets and tokens are the rank's
// alone.
StepBatch evaluation_batch(const Windows& windows, uint64_t first, uint64_t count, const LoaderOptions& options);

}  // namespace tandem
