// Plans of shipped configurations: no slower than those that were found when this table was made, and the batch that a
// plan hints at takes what the hint says.
#include <doctest/doctest.h>

#include "core/base/size.h"
#include "core/plan/planner.h"
#include "tests/plan/shipped.h"

using namespace tandem;
using test::shipped;

namespace {

struct Row {
  const char *model, *device, *memory, *host;  // empty: what the table of the device says
  const char* recipe;
  uint32_t micro_batch;
  double tokens_per_second, hinted;  // with the micro_batch that the plan hints at, which may be the same
};

constexpr Row kRows[] = {
    {"qwen2.5-7b", "rtx-5060-ti-16gb", "", "64GB", "fp8", 16, 1350, 1488},
    {"qwen2.5-7b", "rtx-4060-ti-16gb", "", "64GB", "fp8", 16, 1203, 1227},
    {"qwen2.5-7b", "rtx-4090", "", "64GB", "fp8", 16, 4512, 4617},
    {"qwen2.5-14b", "rtx-4090", "", "128GiB", "fp8", 16, 2254, 2311},
    {"qwen2.5-3b", "rtx-4090", "", "", "fp8", 8, 10370, 10424},
    {"qwen2.5-3b", "rtx-4090", "12GiB", "", "fp8", 8, 9469, 9469},
    {"qwen2.5-3b", "rtx-3060-12gb", "", "", "bf16", 8, 1006, 1074},
    {"qwen2.5-0.5b", "rtx-4060-ti-16gb", "8GiB", "", "fp8", 8, 12875, 12875},
};

PlanRequest request_of(const Row& row, uint32_t micro_batch) {
  PlanRequest r =
      shipped(row.model, row.device,
              {fmt::format("--precision.recipe={}", row.recipe), fmt::format("--batch.micro_batch={}", micro_batch)});
  if (*row.memory != 0) r.target.memory_bytes = parse_size(row.memory, "memory");
  if (*row.host != 0) r.target.host_memory_bytes = parse_size(row.host, "host");
  return r;
}

}  // namespace

TEST_CASE("shipped configurations: plans fit, are as fast as they were, and hints are what they lead to") {
  for (const Row& row : kRows) {
    CAPTURE(std::string(row.model) + " " + row.device + " " + row.memory);
    const PlanRequest request = request_of(row, row.micro_batch);
    const StepPlan plan = plan_step(request);
    REQUIRE(plan.fits());
    CHECK(plan.chosen.device_bytes <= request.target.memory_bytes);
    if (request.target.host_memory_bytes > 0) CHECK(plan.chosen.host_bytes <= request.target.host_memory_bytes);
    const double tokens = double(request.shape.rows()) * request.shape.accumulation;
    CHECK(tokens / plan.chosen.seconds() >= 0.99 * row.tokens_per_second);
    const BatchAdvice advice = advise_batch(request, plan);
    const StepPlan hinted = plan_step(request_of(row, advice.micro_batch));
    REQUIRE(hinted.fits());
    CHECK(hinted.chosen.seconds() == doctest::Approx(advice.seconds).epsilon(0.025));
    CHECK(tokens / hinted.chosen.seconds() >= 0.99 * row.hinted);
  }
}
