#include "core/step/step_spec.h"

#include "core/optimizer/optimizer.h"
#include "core/passes/policy.h"

namespace tandem {

std::vector<ParameterSpec> parameter_specs(const StepSpec& spec) {
  return parameter_specs(spec.model, spec.lora);
}

std::vector<ParameterSpec> trainable_specs(const StepSpec& spec) {
  return spec.lora.on() ? adapter_specs(spec.model, spec.lora) : parameter_specs(spec.model);
}

StepSpec with_layers(StepSpec spec, uint32_t below, uint32_t from) {
  spec.model.layers = below + from;
  if (!spec.lora.on()) return spec;
  const EnumSet<LoraModule> all = spec.lora.all_modules();
  spec.lora.modules.assign(below, {});
  spec.lora.modules.push_back(all);
  return spec;
}

std::vector<std::string> offload_words(const StepSpec& spec) {
  const std::unique_ptr<Optimizer> optimizer = make_optimizer(spec.optimizer, spec.precision);
  return offload_words(state_words(*optimizer, parameter_specs(spec)), spec.precision.fp8());
}

}  // namespace tandem
