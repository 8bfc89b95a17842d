// Hyperparameters of AdamW and of the loss, from the configuration's [optimizer].
#pragma once

namespace tandem {

struct Optimizer {
  double learning_rate = 1e-4;  // peak
  double beta1 = 0.9, beta2 = 0.95;
  double epsilon = 1e-8;
  double weight_decay = 0.1;
  double grad_clip = 1.0;  // 0: off
  double z_loss = 0.0;
};

}  // namespace tandem
