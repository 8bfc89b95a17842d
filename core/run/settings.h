// What a configuration asks of the model, the planner and the device: the one way of `tandem plan` and `tandem train`.
#pragma once

#include "core/model/adapter_directory.h"
#include "core/plan/planner.h"
#include "core/run/config.h"

namespace tandem {

Precision precision_of(const RunConfig& config);

// The adapters that a configuration asks for: its own, or those of lora.adapter, which is opened to see.
// Exit::configuration for a lora key that the adapter has otherwise.
std::optional<AdapterDirectory> configured_adapter(const RunConfig::Lora& lora, const ModelConfig& model);
Lora lora_of(const RunConfig::Lora& lora, const std::optional<AdapterDirectory>& adapter);

// The step that a configuration asks of a model, with the most LM-head chunks to try, and with some batch where that is
// free. Exit::configuration and Exit::does_not_fit, naming the key, for sizes that the recipe or an operand cannot
// have, or words that name nothing.
StepSpec step_spec(const RunConfig& config, const ModelConfig& model, const Lora& lora = {});
// The same step as the replay keys have it: from the cut on, or rounded there. Exit::configuration where nothing lies
// below the adapters, or the recipe cannot take a window alone; Exit::does_not_fit where the streams of two steps are
// more than can be counted.
StepSpec replayed(StepSpec spec, const RunConfig::Replay& replay);

// Sequences per step over all ranks.
uint64_t sequences_per_step(const RunConfig& config);

// A rank's sequences per step where both batch.micro_batch and gradient_accumulation are "auto"; else 0.
uint32_t free_sequences(const RunConfig& config);

// The target with no more memory of its device than memory.device, and what memory.host says of the host: more than the
// machine reports, too.
Target within_budget(Target target, const RunConfig::Memory& memory);

// What one of several ranks of a machine has of it: a share of its memory, of the rates of its link, and a queue for
// what ranks exchange. The target itself where there is one rank.
Target of_one_rank(Target target, uint32_t ranks, uint32_t local_ranks);

// memory.recompute, offload, lm_head_chunks and attention_chunks as limits where they are not "auto".
// Exit::configuration for a word of memory.offload that names nothing.
PolicyLimits limits_of(const RunConfig::Memory& memory, const StepSpec& spec);

// spec: with the most LM-head chunks to try; target: within its budgets, the machine's, which local_ranks share. Where
// the target's rates are not known, those of a table with its name; see has_rates. Exit::does_not_fit where a replay's
// streams of two steps are more than one operand of the target.
PlanRequest plan_request(const RunConfig& config, const StepSpec& spec, const Target& target, uint32_t local_ranks = 1);

// A backend's target, with the rates of a measured table (devices --calibrate) where one has its name.
Target with_measured_rates(Target target);

// Whether seconds mean anything: false where no rates are known, and those of some card rank the policies.
bool has_rates(const Target& target);

}  // namespace tandem
