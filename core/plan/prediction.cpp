#include "core/plan/prediction.h"

namespace tandem {
namespace {

// at the rates of large products; attention computes as the LM head does
double product_seconds(const ProgramCost& step, const Rates& rates) {
  const auto flops = [&](CostKind c) { return double(step.of(c).flops); };
  const double e4m3 = flops(CostKind::gemm_e4m3), bf16 = flops(CostKind::gemm_bf16), f32 = flops(CostKind::gemm_f32);
  double seconds =
      bf16 / rates.bf16 + f32 / rates.f32 + flops(CostKind::attention) / (bf16 > 0 ? rates.bf16 : rates.f32);
  if (e4m3 > 0) seconds += e4m3 / (rates.e4m3 > 0 ? rates.e4m3 : rates.bf16);
  return seconds;
}

}  // namespace

Prediction predict_step(const StepPlan& plan, const Rates& rates) {
  const ProgramCost& step = plan.chosen.cost;
  return {step.seconds, step.exposed_copy, step.exposed_exchange, plan.floor.floor(),
          product_seconds(plan.floor, rates)};
}

}  // namespace tandem
