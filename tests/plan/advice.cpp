// What other batches would do: hints, the batch of given sequences, and the largest micro_batch.
#include <doctest/doctest.h>

#include "core/base/size.h"
#include "core/plan/batch.h"
#include "core/plan/decide.h"
#include "tests/plan/shipped.h"
#include "tests/plan/small_request.h"

using namespace tandem;
using test::shipped;
using test::shipped_full;
using test::small_request;

TEST_CASE("planner: what it hints at for another batch is what it plans for that batch") {
  for (const auto& [name, device] : {std::pair{"qwen2.5-7b", "rtx-5060-ti-16gb"}, {"qwen2.5-3b", "rtx-4090"}}) {
    const PlanRequest configured = shipped_full(name, device);
    const BatchAdvice advice = advise_batch(configured, plan_step(configured));
    REQUIRE(advice.micro_batch > 0);
    const PlanRequest hinted = shipped_full(name, device,
                                            {fmt::format("--batch.micro_batch={}", advice.micro_batch),
                                             fmt::format("--batch.gradient_accumulation={}", advice.accumulation)});
    const StepPlan plan = plan_step(hinted);
    CAPTURE(std::string(name));
    CHECK(plan.chosen.seconds() <= 1.005 * advice.seconds);
    CHECK(plan.chosen.seconds() == doctest::Approx(advice.seconds).epsilon(0.025));
    const BatchAdvice there = advise_batch(hinted, plan);
    CHECK(there.seconds <= 1.005 * advice.seconds);
    CHECK(there.largest_micro_batch == doctest::Approx(advice.largest_micro_batch).epsilon(0.2));
  }
}

TEST_CASE("planner: the batch of given sequences is the fastest of all that share them out") {
  for (const char* memory : {"24GiB", "16GiB", "9GiB"}) {
    PlanRequest r = shipped_full("qwen2.5-3b", "rtx-4090");
    r.target.memory_bytes = parse_size(memory, "memory");
    r.sequences = 32;
    r.shape.micro_batch = first_micro_batch(r.sequences, r.shape.sequence_length, r.precision.recipe);
    r.shape.accumulation = r.sequences / r.shape.micro_batch;
    const PlanRequest chosen = with_batch(r);
    CHECK(chosen.shape.micro_batch * chosen.shape.accumulation == 32);
    const double seconds = decide(chosen).chosen.seconds();
    for (uint32_t b = 1; b <= 32; b *= 2) {
      PlanRequest set =
          shipped_full("qwen2.5-3b", "rtx-4090", {"--batch.sequences=32", fmt::format("--batch.micro_batch={}", b)});
      set.target.memory_bytes = r.target.memory_bytes;
      const StepPlan other = decide(set);
      CAPTURE(std::string(memory));
      CAPTURE(b);
      CAPTURE(chosen.shape.micro_batch);
      if (other.fits()) CHECK(seconds <= 1.02 * other.chosen.seconds());  // moves end in local optima
    }
  }
}

// Where copies take about as long as compute: estimates that let them run beside each other in full, or over the whole
// micro-step, took the wrong batch.
TEST_CASE("planner: the batch of a shipped configuration is as fast as its neighbours") {
  struct Row {
    const char *name, *device, *host;
  };
  for (const Row& row : {Row{"llama-3.1-8b", "rtx-4090", "64GB"}, {"qwen2.5-14b", "h200", "200GB"}}) {
    const auto planned = [&](const std::vector<std::string>& overrides) {
      PlanRequest r = shipped(row.name, row.device, overrides);
      r.target.host_memory_bytes = parse_size(row.host, "host");
      r.sequences = overrides.empty() ? 512 : 0;
      return decide_with_batch(r).chosen.seconds();
    };
    const double seconds = planned({});
    for (const uint32_t b : {2, 4, 8, 16}) {
      CAPTURE(std::string(row.name));
      CAPTURE(b);
      CHECK(seconds <= 1.005 * planned({fmt::format("--batch.micro_batch={}", b)}));
    }
  }
}

TEST_CASE("planner: the first batch is one that the recipe can take") {
  CHECK(first_micro_batch(512, 1024, Recipe::fp8) == 16);
  CHECK(first_micro_batch(6, 32768, Recipe::fp8) == 1);
  CHECK(first_micro_batch(96, 1, Recipe::fp8) == 96);
  CHECK(first_micro_batch(7 * 16, 1000, Recipe::fp8) == 16);  // 14 sequences have 14000 tokens
  CHECK(first_micro_batch(2, 20000, Recipe::bf16) == 1);
  CHECK(first_micro_batch(7, 1, Recipe::fp8) == 1);  // none can be taken
  CHECK(first_micro_batch(8, 20002, Recipe::fp8) == 8);
}

TEST_CASE("planner: the largest micro_batch fits and twice as much does not") {
  PlanRequest r = small_request(3);
  r.target.memory_bytes = plan_step(r).chosen.device_bytes;
  const uint32_t largest = advise_batch(r, plan_step(r)).largest_micro_batch;
  CHECK(largest >= r.shape.micro_batch);
  r.shape.micro_batch = largest;
  CHECK(plan_step(r).fits());
  r.shape.micro_batch = 2 * largest;
  CHECK_FALSE(plan_step(r).fits());
  r.target.memory_bytes = 1 << 10;
  CHECK(advise_batch(r, plan_step(r)).largest_micro_batch == 0);
}

TEST_CASE("planner: the largest micro_batch is found between steps that release gradients and steps that do not") {
  PlanRequest r = small_request(3);
  r.optimizer.clip_by = ClipBy::tensor;
  r.shape.micro_batch = 16;  // one micro-step, which may release; with half of it there are two, which may not
  r.shape.accumulation = 1;
  r.limits.recompute = EnumSet<Recompute>{};
  r.limits.offload = EnumSet<Offload>{Offload::gradients};  // a knob of steps that do not release
  r.limits.attention_chunks = 1;
  PlanRequest smaller = r;
  smaller.shape.micro_batch = 12;
  const auto released = [](PlanRequest request) {
    request.limits.release = Release::once;
    return plan_step(request);
  };
  r.target.memory_bytes = smaller.target.memory_bytes = released(smaller).chosen.device_bytes;
  const StepPlan plan = released(r);
  REQUIRE_FALSE(plan.fits());
  const uint32_t largest = advise_batch(r, plan).largest_micro_batch;
  CHECK(largest >= 12);
  smaller.shape.micro_batch = largest;
  CHECK(released(smaller).fits());
  smaller.shape.micro_batch = largest + 1;
  CHECK_FALSE(released(smaller).fits());
}
