// What releasing gradients does to plans of the shipped models: bytes of gradients alive, and the shipped
// configuration.
#include <doctest/doctest.h>

#include <cstdlib>
#include <map>

#include "core/model/model_source.h"
#include "core/plan/decide.h"
#include "core/rates/device_table.h"
#include "core/run/settings.h"
#include "core/step/compile_step.h"
#include "tests/plan/small_request.h"

using namespace tandem;

namespace {

std::string source(const std::string& path) {
  const char* root = std::getenv("TANDEM_SOURCE_ROOT");
  return std::string(root ? root : ".") + "/" + path;
}

Target endless() {
  Target t;
  t.name = "endless";
  t.queues = queues_of(1);
  t.largest_arena = t.largest_operand = t.largest_chunk = t.memory_bytes = uint64_t{1} << 50;
  return t;
}

// The most bytes of gradients that are alive at once, as bf16.
uint64_t gradients_alive(const ModelConfig& model, Release release) {
  const Precision bf16{.recipe = Recipe::bf16};
  const OptimizerOptions by_tensor{.clip_by = ClipBy::tensor};
  const StepShape shape{.micro_batch = 1, .accumulation = 1, .sequence_length = 256};
  MemoryPolicy policy;
  policy.release = release;
  const Compiled c = compile_step({model, bf16, by_tensor, shape}, policy, endless(), Checks::without);
  uint64_t persistent = 0, most = 0;
  std::map<uint32_t, int64_t> change;
  for (const Root& root : c.storage.roots) {
    if (c.graph.values()[root.value].kind != Kind::gradient) continue;
    if (root.persistent) {
      persistent += root.bytes;
    } else {
      change[root.live.first] += int64_t(root.bytes);
      change[root.live.last + 1] -= int64_t(root.bytes);
    }
  }
  int64_t live = 0;
  for (const auto& [at, bytes] : change) most = std::max(most, uint64_t(live += bytes));
  return persistent + most;
}

// The least device bytes of the step that releases gradients so.
uint64_t least_of(PlanRequest request, Release release) {
  request.limits.release = release;
  request.target.memory_bytes = 1;
  return plan_step(request).chosen.device_bytes;
}

}  // namespace

// None, by the published counts of parameters: 2 bytes each. Released, by hand: gate | up of one layer beside a tied
// embedding, or the embedding of an untied one alone, and less than 1% of vectors.
TEST_CASE("release: GB of gradients alive, today and released") {
  struct Sizes {
    const char* name;
    double parameters;  // 10^9
    uint64_t tied, largest;
  };
  for (const Sizes& sizes : {Sizes{"qwen2.5-0.5b", 0.494032768, 151936ull * 896, 2ull * 4864 * 896},
                             Sizes{"qwen2.5-7b", 7.615616512, 0, 152064ull * 3584},
                             Sizes{"qwen2.5-14b", 14.770033664, 0, 152064ull * 5120}}) {
    CAPTURE(std::string(sizes.name));
    const ModelConfig model = open_model(source(std::string("configs/models/") + sizes.name)).config;
    const uint64_t none = gradients_alive(model, Release::none), once = gradients_alive(model, Release::once);
    CHECK(double(none) == doctest::Approx(2e9 * sizes.parameters).epsilon(0.001));
    CHECK(double(once) == doctest::Approx(2.0 * double(sizes.tied + sizes.largest)).epsilon(0.01));
    MESSAGE(sizes.name, ": ", none, " and ", once, " bytes");
  }
}

TEST_CASE("release: the shipped configuration of 7B fits 16 GB beside 32 GB of host memory") {
  RunConfig config = load_config(source("configs/qwen2.5-7b-release.toml"), {});
  config.memory.host = 32'000'000'000;
  const ModelConfig model = open_model(source(config.model.path)).config;
  const Target target = within_budget(load_device_table("rtx-5060-ti-16gb").target, config.memory);
  const PlanRequest request = plan_request(config, step_spec(config, model, {}), target);
  const StepPlan plan = decide(request);
  REQUIRE(plan.fits());
  CHECK(plan.chosen.policy.release == Release::once);
  CHECK(plan.chosen.device_bytes <= target.memory_bytes);
  CHECK(plan.chosen.host_bytes <= 32'000'000'000);
  MESSAGE(plan.chosen.device_bytes, " bytes on the device, ", plan.chosen.host_bytes, " on the host, ",
          plan.chosen.seconds(), " s per step, ", plan.chosen.cost.exposed_copy, " s waiting for copies");
}

// A small model of which nothing may be offloaded, so that its gradients count.
TEST_CASE("release: auto takes none where it fits, and else what is faster; one micro-step releases") {
  PlanRequest r = test::small_request(3);
  r.optimizer.clip_by = ClipBy::tensor;
  r.shape.accumulation = 1;
  r.limits.offload = EnumSet<Offload>{};
  CHECK(decide(r).chosen.policy.release == Release::none);
  const uint64_t none = least_of(r, Release::none), once = least_of(r, Release::once);
  CHECK(once < none);
  r.target.memory_bytes = (none + once) / 2;
  const StepPlan plan = plan_step(r);
  REQUIRE(plan.fits());
  CHECK(plan.chosen.policy.release == Release::once);
  r.shape.accumulation = 2;
  CHECK(!plan_step(r).fits());
}

// As above. By its seconds, twice would never be taken: it is the one way that fits.
TEST_CASE("release: auto takes twice where nothing else fits and the norm of all clips") {
  PlanRequest r = test::small_request(3);
  r.shape.accumulation = 1;
  r.limits.offload = EnumSet<Offload>{};
  const uint64_t none = least_of(r, Release::none), twice = least_of(r, Release::twice);
  CHECK(twice < none);
  r.target.memory_bytes = none;
  CHECK(plan_step(r).chosen.policy.release == Release::none);
  r.target.memory_bytes = (none + twice) / 2;
  const StepPlan plan = plan_step(r);
  REQUIRE(plan.fits());
  CHECK(plan.chosen.policy.release == Release::twice);
  CHECK(plan.chosen.device_bytes <= r.target.memory_bytes);
  r.limits.release = Release::none;
  CHECK(!plan_step(r).fits());
  r.limits.release.reset();
  r.optimizer.kind = OptimizerKind::muon;
  CHECK(plan_step(r).chosen.policy.release == Release::none);
}
