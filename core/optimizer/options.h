// The options of an optimizer, as a configuration gives them. docs/numerics.md has the formulas.
#pragma once

#include "core/base/dtype.h"

namespace tandem {

struct OptimizerOptions {
  double learning_rate = 1e-4;  // the peak
  double beta1 = 0.9;
  double beta2 = 0.95;
  double epsilon = 1e-8;
  double weight_decay = 0.1;
  double grad_clip = 1.0;  // 0: off
  double z_loss = 0.0;
  DType m_dtype = DType::bf16;
  DType v_dtype = DType::bf16;
  DType master_dtype = DType::none;  // always none under fp32, where the parameters are f32 themselves
};

}  // namespace tandem
