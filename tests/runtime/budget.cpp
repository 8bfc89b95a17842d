// What a plan may take on a device that others hold a part of: what is accepted runs, and little is left unused.
#include "core/runtime/budget.h"

#include <doctest/doctest.h>

#include <cstdlib>
#include <random>

#include "core/plan/fit.h"
#include "core/run/settings.h"
#include "core/run/train.h"
#include "core/step/synthetic.h"
#include "tests/support/captured_error.h"
#include "tests/support/host_backend.h"
#include "tests/support/shared_device.h"
#include "tests/support/temporary.h"

namespace tandem {
namespace {

using test::SharedDevice;

ModelConfig small_model() {
  ModelConfig c;
  c.family = Family::qwen3;
  c.vocabulary = 64;
  c.hidden = 32;
  c.ffn = 48;
  c.layers = 2;
  c.q_heads = 2;
  c.kv_heads = 1;
  c.head_dim = 16;
  c.max_positions = 16;
  return c;
}

const StepShape kShape{.micro_batch = 4, .accumulation = 1, .sequence_length = 16};
const Precision kPrecision{.recipe = Recipe::bf16};

PlanRequest request_for(const Target& target) {
  RunConfig config;
  config.memory.lm_head_chunks = config.memory.attention_chunks = 1;  // fewer plans to try
  return plan_request(config, {small_model(), kPrecision, {}, kShape}, target);
}

// The step as `train` compiles it: as it is where that fits, else as the planner has it; nothing where no plan fits.
std::optional<Compiled> accepted(const Target& target) {
  Compiled as_it_is = compile_step({small_model(), kPrecision, {}, kShape}, {}, target);
  if (as_it_is.memory.fits()) return as_it_is;
  PlanRequest request = request_for(target);
  request.coarse = true;
  StepPlan plan = plan_step(request);
  if (!plan.fits()) return {};
  return std::move(*plan.compiled);
}

uint64_t planned(const Compiled& compiled) {
  return compiled.memory.arena_bytes();
}

void run_step(Backend& backend, Compiled compiled) {
  const ModelConfig model = small_model();
  Session session(backend, std::move(compiled.program));
  StepRunner runner(session, kShape, rope_table(model, kShape.sequence_length));
  fill_synthetic(session, model, kPrecision);
  runner.finish(runner.train(synthetic_batch(kShape, model.vocabulary), 0, 1e-4, 1));
}

// Bytes of the step with no policy, and of the plan that takes least.
struct Needs {
  uint64_t most = 0, least = 0;
};

Needs needs() {
  SharedDevice device{.total = uint64_t(1) << 30};
  const auto backend = open_shared(device);
  Needs n{.most = planned(*accepted(backend->target()))};
  Target tiny = backend->target();
  tiny.memory_bytes = 1;
  const PlanRequest request = request_for(tiny);
  n.least = plan_step(request).chosen.device_bytes;
  return n;
}

TEST_CASE("budget: on 200 devices of which others hold a part, every plan that is accepted runs") {
  const Needs need = needs();
  REQUIRE(need.least < need.most);
  std::mt19937 random(16);
  const auto up_to = [&](uint64_t most) { return std::uniform_int_distribution<uint64_t>(0, most)(random); };
  size_t as_it_is = 0, with_policy = 0, rejected = 0;
  for (int i = 0; i < 200; ++i) {
    SharedDevice device{.granularity = uint64_t(1) << up_to(9)};
    device.to_come = 64 * device.granularity + up_to(need.most / 4);
    device.margin = device.to_come / 3;
    device.context = up_to(need.most / 2), device.kernels = up_to(need.most / 8);
    device.others = up_to(2 * need.most);
    // At most what the backend states is taken later, each arena rounded up.
    device.load = up_to(device.to_come / 2), device.first_run = up_to((device.to_come / 2 + device.margin) / 8);
    const uint64_t beside = device.context + device.kernels + device.to_come + device.margin;
    device.total = device.others + beside + need.least / 2 + up_to(need.most);
    CAPTURE(i);
    const auto backend = open_shared(device);
    const DeviceBudget budget = backend->budget();
    const uint64_t left = budget.free_now - budget.to_come - budget.margin;
    std::optional<Compiled> compiled = accepted(backend->target());
    if (!compiled) {
      CHECK(left < need.most);
      ++rejected;
      continue;
    }
    const uint64_t bytes = planned(*compiled);
    CHECK(bytes <= left);
    CHECK((bytes == need.most) == (left >= need.most));  // a step that fits is not planned anew
    ++(bytes == need.most ? as_it_is : with_policy);
    CHECK_NOTHROW(run_step(*backend, std::move(*compiled)));
  }
  for (const size_t count : {as_it_is, with_policy, rejected}) CHECK(count > 20);
}

TEST_CASE("budget: memory.device counts what the process takes in all") {
  const DeviceBudget budget{
      .free_now = 1000, .taken = {{"context", 100}, {"kernels", 20}}, .to_come = 60, .margin = 20};
  CHECK(budget.reserve_bytes() == 180);
  CHECK(budget.memory_bytes() == 1100);
  CHECK(budget.memory_bytes() - budget.reserve_bytes() == 1000 - 60 - 20);
  const DeviceBudget full{.free_now = 10, .taken = {{"context", 100}}, .to_come = 60, .margin = 20};
  CHECK(full.memory_bytes() < full.reserve_bytes());  // nothing fits
}

TEST_CASE("budget: a meter tells parts apart, and an overrun is what is gone beyond the plan") {
  uint64_t free = 900;
  MemoryMeter meter(1000, [&] { return free; });
  meter.took("context");
  free = 950;  // another program ended
  meter.took("kernels");
  free = 800;
  meter.took("products");
  const DeviceBudget budget = meter.budget(50, 10);
  CHECK(budget.free_now == 800);
  REQUIRE(budget.taken.size() == 3);
  CHECK(budget.taken[0].bytes == 100);
  CHECK(budget.taken[1].bytes == 0);
  CHECK(budget.taken[2].bytes == 150);
  CHECK(overrun(budget, 600, 150) == 0);
  CHECK(overrun(budget, 600, 149) == 1);
  CHECK(overrun(budget, 600, 900) == 0);
}

SharedDevice* device_of_run = nullptr;

std::string trained(SharedDevice& device) {
  device_of_run = &device;
  Registry registry;
  registry.add({"host", test::host_backend().devices,
                [](uint32_t) -> std::unique_ptr<Backend> { return test::open_shared(*device_of_run); }});
  const char* root = std::getenv("TANDEM_SOURCE_ROOT");
  const test::TemporaryDirectory place;
  const std::string text = fmt::format(
      "[model]\npath = \"{0}\"\nfrom_scratch = true\n[data]\ntrain = [\"{0}/train.bin\"]\nsequence_length = 16\n"
      "[batch]\nmicro_batch = 1\n[precision]\nrecipe = \"fp32\"\n[schedule]\nsteps = 1\nwarmup_steps = 0\n"
      "[run]\ndirectory = \"{1}\"\n",
      std::string(root ? root : ".") + "/tests/golden/cases/qwen2", place / "run");
  const test::CapturedError error;
  CHECK(train(parse_config(text, "c.toml", {}), registry, {}) == Exit::ok);
  return error.text();
}

TEST_CASE("budget: a run says after its first step what it took beyond its plan") {
  SharedDevice device{.total = uint64_t(1) << 30, .load = 1000, .first_run = 1000, .to_come = 4000, .margin = 1000};
  CHECK(trained(device).find("more on the device than planned") == std::string::npos);  // load, begin, micro, update
  device.first_run = 1100;
  const std::string text = trained(device);
  CHECK_MESSAGE(text.find("the first step took 300 bytes more on the device than planned") != std::string::npos, text);
}

}  // namespace
}  // namespace tandem
