#include "core/step/step_spec.h"

#include "core/optimizer/optimizer.h"
#include "core/passes/policy.h"

namespace tandem {

std::vector<std::string> offload_words(const StepSpec& spec) {
  const std::unique_ptr<Optimizer> optimizer = make_optimizer(spec.optimizer, spec.precision);
  return offload_words(state_words(*optimizer, parameter_specs(spec.model)));
}

}  // namespace tandem
