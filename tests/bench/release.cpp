// What releasing gradients in the backward pass saves and costs: a configuration's step with gradients released not at
// all, once and twice, with nothing offloaded and with all parameters and states offloaded. Prints a line for each:
// device bytes, host bytes, seconds and exposed copies as predicted, and seconds as measured where there is a device.
#include <CLI/CLI.hpp>

#include "core/base/stopwatch.h"
#include "core/model/model_source.h"
#include "core/plan/search.h"
#include "core/rates/device_table.h"
#include "core/run/settings.h"
#include "core/step/synthetic.h"
#include "tests/bench/bench.h"

using namespace tandem;

namespace {

struct Options {
  std::string config, table, backend;
  std::vector<std::string> overrides;
  uint32_t steps = 5, warm_up = 2;
};

// once needs no norm of all gradients, twice takes one; none may do either, and does as once.
StepSpec spec_of(const RunConfig& config, const ModelConfig& model, Release release) {
  RunConfig with = config;
  with.optimizer.clip_by = release == Release::twice ? ClipBy::step : ClipBy::tensor;
  with.batch.gradient_accumulation = 1;
  return step_spec(with, model, {});
}

MemoryPolicy policy_of(const RunConfig& config, const StepSpec& spec, Release release, bool offloaded) {
  EnumSet<Offload> kinds;
  const std::vector<std::string> words = offload_words(spec);
  for (size_t kind = 0; kind < kOffloadCount && offloaded; ++kind)
    if (!words[kind].empty() && Offload(kind) != Offload::residuals &&
        (release == Release::none || Offload(kind) != Offload::gradients))
      kinds.insert(Offload(kind));
  MemoryPolicy policy = uniform_policy(config.memory.recompute.value_or(EnumSet<Recompute>{}), kinds);
  if (offloaded) policy.optimizer_chunk = 1 << 24;
  policy.release = release;
  return policy;
}

// The median second of a step on the device.
double measure(const Options& o, const StepSpec& spec, Backend& backend, Program program) {
  Session session(backend, std::move(program));
  StepRunner runner(session, spec.shape, rope_table(spec.model, spec.shape.sequence_length));
  fill_synthetic(session, spec.model, spec.precision);
  const StepBatch batch = synthetic_batch(spec.shape, spec.model.vocabulary);
  std::vector<double> times;
  for (uint32_t s = 0; s < o.steps + o.warm_up; ++s) {
    const auto start = std::chrono::steady_clock::now();
    runner.finish(runner.train(batch, s, 1e-4, 1));
    if (s >= o.warm_up) times.push_back(seconds_since(start));
  }
  return median(times);
}

void print(const Options& o, const RunConfig& config, const Target& target, Backend* backend) {
  const ModelConfig model = open_model(config.model.path).config;
  fmt::print("{:<22}{:>16}{:>16}{:>12}{:>12}{:>12}\n", "release, offloaded", "device bytes", "host bytes", "predicted",
             "exposed", "measured");
  for (const bool offloaded : {false, true})
    for (const Release release : {Release::none, Release::once, Release::twice}) {
      const StepSpec spec = spec_of(config, model, release);
      Compiled compiled =
          compile_step(spec, policy_of(config, spec, release, offloaded), without_budget(target), Checks::without);
      const ProgramCost cost = cost_of_step(compiled.program, target.rates);
      const uint64_t device = device_bytes(compiled.memory, target);
      std::string measured = "-";
      if (backend != nullptr && device <= target.memory_bytes)
        measured = fmt::format("{:.4f}", measure(o, spec, *backend, std::move(compiled.program)));
      fmt::print("{:<22}{:>16}{:>16}{:>12.4f}{:>12.4f}{:>12}\n",
                 fmt::format("{}, {}", kReleaseNames[size_t(release)], offloaded ? "all" : "nothing"), device,
                 compiled.memory.host_bytes, cost.seconds, cost.exposed_copy, measured);
    }
}

void run(const Options& o) {
  const RunConfig config = load_config(o.config, o.overrides);
  if (!o.table.empty()) {
    const DeviceTable table = load_device_table(o.table);
    fmt::print("device {} (by its table)\n", table.target.name);
    return print(o, config, table.target, nullptr);
  }
  const Registry registry = bench::backends();
  const DeviceInfo device = registry.choose(o.backend);
  const auto backend = registry.open(device);
  fmt::print("device {}:{} {}\n", device.backend, device.index, device.name);
  PlanRequest request = plan_request(config, spec_of(config, open_model(config.model.path).config, Release::none),
                                     with_measured_rates(backend->target()));
  print(o, config, request.target, backend.get());
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app("What releasing gradients in the backward pass saves and costs", "bench-release");
  Options o;
  o.config = "configs/quickstart.toml";
  o.backend = "auto";
  app.add_option("--config", o.config, "a configuration; its gradient_accumulation is taken for 1");
  app.add_option("--device", o.table, "a table of configs/devices: nothing is measured");
  app.add_option("--backend", o.backend, "auto, vulkan, cuda or BACKEND:N");
  app.add_option("--set", o.overrides, "--section.key=value");
  app.add_option("--steps", o.steps, "timed steps");
  app.add_option("--warm-up", o.warm_up, "steps before them");
  CLI11_PARSE(app, argc, argv);
  return bench::exit_of("bench-release", [&] { run(o); });
}
