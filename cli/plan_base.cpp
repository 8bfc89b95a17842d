#include "cli/plan_base.h"

#include <set>

#include "core/abi/state_codes.h"
#include "core/plan/policy_text.h"

namespace tandem::cli {

uint64_t trainable_parameters(const StepSpec& spec) {
  uint64_t count = 0;
  for (const ParameterSpec& parameter : trainable_specs(spec))
    for (const StoredTensor& part : parameter.parts) count += part.shape.count();
  return count;
}

Json base_json(const PlanRequest& request, const StepPlan& plan) {
  if (!request.lora.on()) return {};
  std::set<std::string> adapters;
  for (const ParameterSpec& spec : trainable_specs(request)) adapters.insert(spec.name);
  uint64_t device = 0, host = 0;
  for (const Root& root : plan.compiled->storage.roots) {
    const Value& value = plan.compiled->graph.values()[root.value];
    const bool is_base = (value.kind == Kind::parameter || value.kind == Kind::quantized) &&
                         value.lifetime == Lifetime::variable && !adapters.contains(value.name);
    if (is_base) (root.host ? host : device) += root.bytes;
  }
  const BaseLayers layers = base_layers(request, plan.chosen.policy);
  return {{"device_bytes", device},
          {"host_bytes", host},
          {"layers_on_device", layers.on_device},
          {"transposes_remade", layers.transposes_remade}};
}

Json replay_json(const StepSpec& spec) {
  if (spec.model.first_layer == 0) return {};
  return {{"layer", spec.model.first_layer}, {"bytes_per_token", abi::coded_row_bytes(spec.model.hidden)}};
}

}  // namespace tandem::cli
