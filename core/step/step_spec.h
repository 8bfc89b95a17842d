// What a training step computes; how it is done is its MemoryPolicy's.
#pragma once

#include "core/optimizer/options.h"
#include "core/step/step_shape.h"

namespace tandem {

struct StepSpec {
  ModelConfig model;
  Precision precision;
  OptimizerOptions optimizer;
  StepShape shape;
};

}  // namespace tandem
