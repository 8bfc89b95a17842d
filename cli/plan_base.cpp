#include "cli/plan_base.h"

#include <set>

namespace tandem::cli {
namespace {

struct BaseLayers {
  uint32_t on_device = 0, remade = 0;
};

BaseLayers layers_of(const StepSpec& spec, const MemoryPolicy& policy) {
  BaseLayers layers;
  for (uint32_t layer = 0; layer < spec.model.layers; ++layer) {
    if (!policy.offload_of(layer).contains(Offload::parameters)) ++layers.on_device;
    if (spec.precision.fp8() && policy.copies_of(layer) == Copies::remade) ++layers.remade;
  }
  return layers;
}

}  // namespace

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
  const BaseLayers layers = layers_of(request, plan.chosen.policy);
  return {{"device_bytes", device},
          {"host_bytes", host},
          {"layers_on_device", layers.on_device},
          {"transposes_remade", layers.remade}};
}

std::string base_text(const StepSpec& spec, const MemoryPolicy& policy) {
  if (!spec.lora.on()) return {};
  const BaseLayers layers = layers_of(spec, policy);
  const uint32_t all = spec.model.layers;
  std::string text =
      fmt::format("{} of {} of {} layers on the device, {} on the host", spec.precision.fp8() ? "codes" : "weights",
                  layers.on_device, all, all - layers.on_device);
  if (spec.precision.fp8()) text += fmt::format("; transposes remade in {}", layers.remade);
  return text;
}

}  // namespace tandem::cli
