// What a training step computes; how it is done is its MemoryPolicy's.
#pragma once

#include <string>
#include <vector>

#include "core/model/lora.h"
#include "core/optimizer/options.h"
#include "core/program/sharding.h"
#include "core/step/step_shape.h"

namespace tandem {

struct StepSpec {
  ModelConfig model;
  Precision precision;
  OptimizerOptions optimizer;
  StepShape shape;
  Sharding sharding;
  Lora lora;
  std::vector<bool> remade_transposes;  // FrozenCodes::remade
};

std::vector<ParameterSpec> parameter_specs(const StepSpec& spec);
std::vector<ParameterSpec> trainable_specs(const StepSpec& spec);  // all, or the adapters' alone

// The same step of a model of few layers: so many below the adapters, and so many with them, or where all train.
StepSpec with_layers(StepSpec spec, uint32_t below, uint32_t from);

// The words of memory.offload for such a step, by Offload (core/passes/policy.h).
std::vector<std::string> offload_words(const StepSpec& spec);

}  // namespace tandem
