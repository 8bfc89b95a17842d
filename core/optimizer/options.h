// The options of an optimizer, as a configuration gives them. docs/numerics.md has the formulas.
#pragma once

#include "core/base/dtype.h"

namespace tandem {

enum class OptimizerKind : uint8_t { adamw, muon, apollo, galore, sgd, adalomo };

// True where each stored matrix of a layer is updated by itself, by several instructions, while all else is AdamW's.
constexpr bool updates_in_parts(OptimizerKind kind) {
  return kind == OptimizerKind::muon || kind == OptimizerKind::apollo || kind == OptimizerKind::galore;
}

// By which norm gradients are clipped: that of all of this step; each stored tensor by its own; all by the norm of a
// step before. Under the last two a tensor is left as it is by its own gradient alone (docs/released-gradients.md).
enum class ClipBy : uint8_t { step, tensor, previous };

// What Muon multiplies the learning rate with: by max(rows, columns), so that AdamW's carries over; by rows / columns.
enum class MuonScale : uint8_t { match_rms_adamw, original };

// Whether APOLLO scales each channel of a gradient by itself, or the whole matrix.
enum class ApolloScaling : uint8_t { channel, tensor };

struct OptimizerOptions {
  OptimizerKind kind = OptimizerKind::adamw;
  double learning_rate = 1e-4;  // the peak
  double beta1 = 0.9;
  double beta2 = 0.95;
  double epsilon = 1e-8;
  double weight_decay = 0.1;
  double grad_clip = 1.0;  // 0: off
  ClipBy clip_by = ClipBy::step;
  double z_loss = 0.0;
  DType m_dtype = DType::bf16;
  DType v_dtype = DType::bf16;
  double momentum = 0.95;  // muon's, with the two below
  bool nesterov = true;
  MuonScale muon_scale = MuonScale::match_rms_adamw;
  uint32_t projection_rank = 256;   // apollo's and galore's, with the two below
  uint32_t projection_every = 200;  // updates
  double projection_scale = 1.0;
  ApolloScaling scaling = ApolloScaling::channel;  // apollo's
  DType master_dtype = DType::none;                // always none under fp32, where the parameters are f32 themselves
};

}  // namespace tandem
