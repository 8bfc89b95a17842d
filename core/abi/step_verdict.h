// step_verdict: norm = sqrt((S_0 + S_1 + ... in the order of ranks) + S_vectors), S_r the sum of rank r's partials and
// S_vectors, where there are any, of the vectors' that every rank has alike: each a tree of fixed shape. loss = (losses
// added in the order of ranks) * inverse_targets; skipped = loss or norm not finite or no target. If not skipped,
// updates += 1. Fills verdict (abi Verdict) and report[slot] (abi StepReport; without scale_counts 0 of them), slot =
// (counter[0] - 1) & 1. coefficient = min(1, grad_clip / (norm + 1e-6)), 1 when grad_clip is 0. by_tensor: partials are
// the sums of squares of stored tensors, each of which has a verdict of its own (tensor_verdict); then the norm does
// not count for skipped, and the report says how many partials are not finite. last_norm becomes the norm, where that
// is finite and the step not skipped. operands: partials (ranks, count) f32, losses (ranks) f32, vectors (vectors)
// f32|-, scalars (16) u32, counter (16) i32, scale_counts (2) u32|- (see shift_amax), verdict (16) u32; in place:
// updates (1) u32, report (2, 16) u32 (the other slot stays), last_norm (1) f32|-.
#ifndef TANDEM_ABI_STEP_VERDICT_H
#define TANDEM_ABI_STEP_VERDICT_H
#include "core/abi/abi.h"
TANDEM_ABI_BEGIN

struct StepVerdict {
  uint32_t count;    // partials of a rank
  uint32_t ranks;    // 1: one device trains
  uint32_t vectors;  // partials of vectors; 0: none
  float grad_clip;
  uint32_t by_tensor;
};

// What an update does, whatever the optimizer.
struct Verdict {
  float learning_rate;
  float coefficient;  // the factor of the gradient, clipping
  uint32_t skipped;
  uint32_t step;
  uint32_t seed_low, seed_high;
  uint32_t updates;  // done, this one among them
  uint32_t rank;
};

struct StepReport {
  float loss;
  float grad_norm;
  uint32_t skipped;
  uint32_t updates;  // done
  uint32_t step;
  uint32_t scale_guesses, scale_misses;  // micro-steps since the one that ended the step before
  uint32_t skipped_tensors;              // by_tensor alone
};

TANDEM_ABI_END(StepVerdict)
#endif
