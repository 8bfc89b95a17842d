#include "core/run/engine.h"

#include <algorithm>
#include <utility>

#include "core/base/message.h"
#include "core/plan/fit.h"
#include "core/run/resume.h"
#include "core/run/saved_state.h"
#include "core/run/settings.h"
#include "core/step/parameters.h"

namespace tandem {
namespace {

// A large device takes large chunks of the LM head: products of few rows leave it idle.
uint64_t logit_bytes(const Target& target) {
  constexpr uint64_t kMost = uint64_t{1} << 30;
  return std::max(kLogitBytes, std::min({kMost, target.memory_bytes / 64, target.largest_chunk / 2}));
}

struct Decision {
  MemoryPolicy policy;
  uint32_t head_chunks = 1;
  Compiled compiled;
};

// The step as configured where that fits, or else what the planner makes of the keys that are "auto".
Decision decide(const RunConfig& config, const StepSpec& spec, const Target& target, bool resumed) {
  const MemoryPolicy policy = policy_of(config.memory, offload_words(spec));
  StepShape large = spec.shape;
  if (!resumed && !config.memory.lm_head_chunks)
    large.head_chunks = choose_head_chunks(spec.model, spec.precision, spec.shape, logit_bytes(target));
  try {
    return {policy, large.head_chunks, compile_step(spec.model, spec.precision, spec.optimizer, large, policy, target)};
  } catch (const Error& e) {
    if (e.exit() != Exit::does_not_fit) throw;
  }
  PlanRequest request = plan_request(config, spec, target);
  if (resumed) request.limits.lm_head_chunks = spec.shape.head_chunks;
  StepPlan plan = plan_step(request);
  if (!plan.fits())
    return {policy, spec.shape.head_chunks,
            compile_step_or_suggest(spec.model, spec.precision, spec.optimizer, spec.shape, policy, target)};
  const uint32_t head_chunks = plan.chosen.policy.lm_head_chunks;
  return {std::move(plan.chosen.policy), head_chunks, std::move(*plan.compiled)};
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
  Decision decision = decide(config, engine.spec, target, inputs.checkpoint.has_value());
  shape.head_chunks = decision.head_chunks;
  if (has_rates(target)) {
    const PlanRequest request = plan_request(config, engine.spec, target);
    engine.rates = request.target.rates;
    engine.prediction = predict_step(request, decision.compiled.program);
  }
  engine.policy = std::move(decision.policy);
  engine.plan = std::move(decision.compiled.memory);
  engine.session = std::make_unique<Session>(*engine.backend, std::move(decision.compiled.program));
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
