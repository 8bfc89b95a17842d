#include "core/run/engine.h"

#include <utility>

#include "core/base/message.h"
#include "core/plan/decide.h"
#include "core/plan/fit.h"
#include "core/run/resume.h"
#include "core/run/saved_state.h"
#include "core/run/settings.h"
#include "core/step/parameters.h"

namespace tandem {
namespace {

// Exit::does_not_fit, with what would fit, where the plan does not.
void require_fits(const StepPlan& plan, const PlanRequest& r) {
  if (!plan.fits())
    compile_step_or_suggest(r.model, r.precision, r.optimizer, r.shape, policy_asked(r.limits), r.target);
}

}  // namespace

Engine open_engine(const RunConfig& config, const Registry& registry, const RunInputs& inputs) {
  Engine engine;
  engine.spec = inputs.spec;
  StepShape& shape = engine.spec.shape;
  engine.device = registry.choose(config.run.backend);
  check_recipe(engine.device, name_of(engine.spec.precision.recipe));
  engine.backend = registry.open(engine.device);
  if (inputs.checkpoint) warn_of_device(inputs.checkpoint->manifest(), engine.device);
  if (KernelTable* kernels = engine.backend->kernels()) kernels->use(inputs.kernels);
  else if (!inputs.kernels.timed)
    warn(fmt::format("--choices changes nothing: {} has no kernels to choose", engine.device.backend));
  const Target target = with_measured_rates(within_budget(engine.backend->target(), config.memory));
  PlanRequest request = plan_request(config, engine.spec, target);
  if (inputs.checkpoint) request.limits.lm_head_chunks = shape.head_chunks;
  StepPlan plan = decide(request);
  require_fits(plan, request);
  shape.head_chunks = plan.chosen.policy.lm_head_chunks;
  if (has_rates(target)) {
    engine.rates = request.target.rates;
    engine.prediction = predict_step(plan, engine.rates);
  }
  engine.policy = std::move(plan.chosen.policy);
  engine.plan = std::move(plan.compiled->memory);
  engine.session = std::make_unique<Session>(*engine.backend, std::move(plan.compiled->program));
  engine.kernels = record_kernels(*engine.backend, inputs.checkpoint ? "checkpoint" : "file");
  engine.runner =
      std::make_unique<StepRunner>(*engine.session, shape, rope_table(engine.spec.model, shape.sequence_length));
  return engine;
}

void fill(Engine& engine, const RunConfig::Model& model, const RunInputs& inputs) {
  const Precision& precision = engine.spec.precision;
  if (inputs.weights) load_parameters(*engine.session, inputs.model, *inputs.weights, precision);
  else initialise_parameters(*engine.session, inputs.model, precision, model.seed);
}

void restore(Engine& engine, const Checkpoint& checkpoint) {
  const auto optimizer = make_optimizer(engine.spec.optimizer, engine.spec.precision);
  restore_state(*engine.session, *optimizer, parameter_specs(engine.spec.model), checkpoint);
}

uint64_t device_memory(const Engine& engine) {
  const Target& target = engine.backend->target();
  return engine.session->device_bytes() + target.staging_bytes + target.reserve_bytes;
}

}  // namespace tandem
