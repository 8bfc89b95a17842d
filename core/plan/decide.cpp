#include "core/plan/decide.h"

#include <algorithm>

namespace tandem {
namespace {

// A device takes chunks of the LM head as large as a small part of its memory: products of few rows leave it idle, and
// each chunk reads and writes the whole weight gradient.
uint64_t logit_bytes(const Target& target) {
  constexpr uint64_t kMost = uint64_t{4} << 30;
  return std::max(kLogitBytes, std::min({kMost, target.memory_bytes / 32, target.largest_chunk / 2}));
}

// nullopt: it does not fit
std::optional<StepPlan> plan_asked(const PlanRequest& request, uint32_t head_chunks) {
  MemoryPolicy policy = policy_asked(request.limits);
  policy.lm_head_chunks = head_chunks;
  const Target& target = request.target;
  StepPlan plan;
  plan.compiled = compile_step(request, policy, target, Checks::without);
  const MemoryPlan& memory = plan.compiled->memory;
  if (!memory.fits()) return {};
  verify_whole(plan.compiled->program, target);
  plan.chosen = {policy, device_bytes(memory, target), memory.host_bytes,
                 cost_of_step(plan.compiled->program, target.rates), true};
  plan.floor = floor_of(request);
  plan.compiles = 1;
  return plan;
}

}  // namespace

MemoryPolicy policy_asked(const PolicyLimits& limits) {
  MemoryPolicy policy =
      uniform_policy(limits.recompute.value_or(EnumSet<Recompute>{}), limits.offload.value_or(EnumSet<Offload>{}));
  policy.attention_chunks = limits.attention_chunks.value_or(1);
  policy.lm_head_chunks = limits.lm_head_chunks.value_or(0);
  policy.release = limits.release.value_or(Release::none);
  return policy;
}

StepPlan decide(const PlanRequest& request, std::shared_ptr<Estimates> estimates) {
  const StepShape& shape = request.shape;
  const uint32_t most = request.limits.lm_head_chunks.value_or(shape.head_chunks);
  const uint32_t few = request.limits.lm_head_chunks.value_or(
      choose_head_chunks(request.model, request.precision, shape, logit_bytes(request.target)));
  std::optional<StepPlan> plan = plan_asked(request, few);
  if (!plan) {
    StepPlan found = plan_step(request, estimates);
    if (!found.fits() && most != few) plan = plan_asked(request, most);
    if (!plan) plan = std::move(found);
  }
  plan->estimates = std::move(estimates);
  return std::move(*plan);
}

}  // namespace tandem
