// A step's parameters and data that mean nothing, to be timed: drawing billions of parameters would take longer than
// what is measured.
#pragma once

#include "core/model/lora.h"
#include "core/step/step_runner.h"

namespace tandem {

// every parameter, from one block of N(0, 0.02); what pads a model's is filled too, and computed with
void fill_synthetic(Session& session, const ModelConfig& config, const Precision& precision, const Lora& lora = {});

// the same micro-step again and again, of all the vocabulary's tokens
StepBatch synthetic_batch(const StepShape& shape, uint32_t vocabulary);

}  // namespace tandem
