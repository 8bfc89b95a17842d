#include "core/plan/usage.h"

#include <doctest/doctest.h>

#include "tests/plan/shipped.h"

using namespace tandem;

TEST_CASE("usage: a part takes what is busy longest, and more where something else is nearly as busy") {
  Usage usage;
  Usage::Busy& busy = usage.parts[Usage::kUpdate];
  busy.compute = 2;
  CHECK(usage.seconds(1) == doctest::Approx(2));
  busy.in = 1;
  CHECK(usage.seconds(1) == doctest::Approx(2 * std::pow(1 + std::pow(0.5, 8), 1.0 / 8)));
  busy.in = 2;
  CHECK(usage.seconds(1) == doctest::Approx(2 * std::pow(2, 1.0 / 8)));
  busy.out = busy.exchange = 2;  // copies both ways do not hold each other up
  CHECK(usage.seconds(1) == doctest::Approx(2 * std::pow(2, 1.0 / 8)));
  busy.latency = -0.05;  // as compiled plans tell
  CHECK(usage.seconds(1) == doctest::Approx(2 * std::pow(2, 1.0 / 8) - 0.05));
  busy.latency = -1;
  CHECK(usage.seconds(1) == doctest::Approx(2));
}

TEST_CASE("usage: what one pass leaves idle does not help the next") {
  Usage usage;
  usage.parts[Usage::kForwardPass].compute = 1;
  usage.parts[Usage::kForwardPass].in = 3;
  usage.parts[Usage::kBackwardPass].compute = 4;
  usage.parts[Usage::kBackwardPass].in = 1;
  usage.parts[Usage::kUpdate].out = 2;
  CHECK(usage.seconds(8) == doctest::Approx(8 * (3 + 4) + 2).epsilon(0.001));
  usage.parts[Usage::kBackwardPass].latency = 0.5;
  CHECK(usage.seconds(8) == doctest::Approx(8 * (3 + 4.5) + 2).epsilon(0.001));
}

TEST_CASE("usage: a compiled step's parts sum to what its cost is") {
  PlanRequest r = test::shipped_full("qwen2.5-0.5b", "rtx-4090");
  r.shape.accumulation = 4;
  MemoryPolicy policy = uniform_policy(EnumSet<Recompute>{Recompute::ffn},
                                       EnumSet<Offload>{Offload::parameters, Offload::residuals, offload_of_state(0)});
  policy.lm_head_chunks = r.shape.head_chunks;
  const Compiled compiled = compile_step(r, policy, without_budget(r.target));
  const auto turns = costs_of_turns(compiled.program, r.target.rates, Exposed::without);
  const ProgramCost step = cost_of_step(compiled.program, turns);
  const Usage usage = usage_of(compiled, r.target, turns);
  CHECK(usage.seconds(4) >= 0.99 * step.seconds);
  CHECK(usage.seconds(4) <= 1.02 * step.seconds);
  double in = 0, compute = 0;
  for (size_t p = 0; p < Usage::kParts; ++p) {
    const double times = p == Usage::kForwardPass || p == Usage::kBackwardPass ? 4 : 1;
    in += times * usage.parts[p].in;
    compute += times * usage.parts[p].compute;
  }
  double kinds = 0;
  for (size_t c = 0; c < kCostKindCount; ++c)
    if (CostKind(c) != CostKind::copy && CostKind(c) != CostKind::exchange) kinds += step.kinds[c].seconds;
  CHECK(compute == doctest::Approx(kinds));
  CHECK(in == doctest::Approx(step.link_in()));
  CHECK(usage.parts[Usage::kForwardPass].compute < usage.parts[Usage::kBackwardPass].compute);
  CHECK(usage.parts[Usage::kForwardPass].in > 0);
  CHECK(usage.parts[Usage::kBackwardPass].out > 0);
}
