// What memory policies cost: a step's time under each over its time without one, measured and predicted by rates that
// are measured first, in the same process. Prints a line a policy.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>

#include "core/rates/calibrate.h"
#include "core/rates/cost_model.h"
#include "core/step/compile_step.h"
#include "core/step/step_spec.h"
#include "core/step/synthetic.h"
#include "tests/bench/bench.h"

using namespace tandem;

namespace {

constexpr StepShape kShape{.micro_batch = 4, .accumulation = 2, .sequence_length = 256, .head_chunks = 1};

ModelConfig small_config() {
  ModelConfig c;
  c.family = Family::llama;
  c.vocabulary = 1024;
  c.hidden = 256;
  c.ffn = 768;
  c.layers = 4;
  c.q_heads = 4;
  c.kv_heads = 2;
  c.head_dim = 64;
  c.tied = true;
  c.max_positions = 256;
  return c;
}

struct Named {
  std::string name;
  MemoryPolicy policy;
};

std::vector<Named> policies(const StepSpec& spec) {
  const std::vector<std::string> words = offload_words(spec);
  std::vector<Named> list{{"none", {}}};
  for (size_t part = 0; part < std::size(kRecomputeNames); ++part)
    list.push_back({fmt::format("recompute {}", kRecomputeNames[part]), uniform_policy({Recompute(part)}, {})});
  EnumSet<Offload> all;
  for (size_t kind = 0; kind < kOffloadCount; ++kind) {
    if (words[kind].empty()) continue;
    list.push_back({fmt::format("offload {}", words[kind]), uniform_policy({}, {Offload(kind)})});
    all.insert(Offload(kind));
  }
  list.push_back({"recompute block, offload all", uniform_policy({Recompute::block}, all)});
  list.push_back({"4 chunks of the LM head", {}});
  list.back().policy.lm_head_chunks = 4;
  list.push_back({"4 chunks of attention's gradient", {}});
  list.back().policy.attention_chunks = 4;
  list.push_back({"chunks of 65536 in AdamW", {}});
  list.back().policy.optimizer_chunk = 65536;
  if (spec.precision.fp8()) {
    list.push_back({"fp8 copies remade", {}});
    list.back().policy.copies = {Copies::remade};
    list.push_back({"fp8 copies transposed", {}});
    list.back().policy.copies = {Copies::transposed};
  }
  return list;
}

// A step loaded under one policy.
struct Loaded {
  Loaded(Backend& backend, const Precision& precision, const Named& named, const Rates& rates)
      : name(named.name),
        compiled(compile_step({small_config(), precision, {}, kShape}, named.policy, backend.target())),
        predicted(cost_of_step(compiled.program, rates).seconds),
        session(backend, compiled.program),
        runner(session, kShape, rope_table(small_config(), kShape.sequence_length)) {
    fill_synthetic(session, small_config(), precision);
  }

  double step(const StepBatch& batch) {
    const auto start = std::chrono::steady_clock::now();
    runner.finish(runner.train(batch, steps++, 1e-4, 1));
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  }

  std::string name;
  Compiled compiled;
  double predicted;
  Session session;
  StepRunner runner;
  uint64_t steps = 0;
};

void run(const std::string& backend_name, const std::string& recipe, int rounds) {
  Precision precision;
  precision.recipe = recipe == "fp32" ? Recipe::fp32 : recipe == "bf16" ? Recipe::bf16 : Recipe::fp8;
  if (precision.recipe == Recipe::fp32) precision.gradient = precision.m = precision.v = DType::f32;
  const Registry registry = bench::backends();
  const DeviceInfo device = registry.choose(backend_name);
  const auto backend = registry.open(device);
  fmt::print("device {}:{} {}\nrecipe {}\n", device.backend, device.index, device.name, recipe);
  const DeviceTable table = calibrate(*backend, device);
  const StepBatch batch = synthetic_batch(kShape, small_config().vocabulary);
  std::vector<std::unique_ptr<Loaded>> loaded;
  for (const Named& named : policies({small_config(), precision, {}, {}}))
    loaded.push_back(std::make_unique<Loaded>(*backend, precision, named, table.target.rates));
  for (auto& one : loaded) one->step(batch);
  // in turn, so that what else runs on the machine meets all alike
  std::vector<std::vector<double>> ratios(loaded.size());
  std::vector<double> without;
  for (int round = 0; round < rounds; ++round) {
    without.push_back(loaded[0]->step(batch));
    for (size_t i = 1; i < loaded.size(); ++i) {
      const double before = loaded[0]->step(batch), with = loaded[i]->step(batch), after = loaded[0]->step(batch);
      ratios[i].push_back(2 * with / (before + after));
    }
  }
  fmt::print("without a policy {:.4f} s, predicted {:.4f} s\n{:<36}{:>9}{:>10}{:>8}{:>9}\n", median(without),
             loaded[0]->predicted, "time over that without", "measured", "predicted", "ratio", "MiB");
  for (size_t i = 1; i < loaded.size(); ++i) {
    const double measured = median(ratios[i]), predicted = loaded[i]->predicted / loaded[0]->predicted;
    fmt::print("{:<36}{:>9.3f}{:>10.3f}{:>8.3f}{:>9.1f}\n", loaded[i]->name, measured, predicted, predicted / measured,
               double(loaded[i]->compiled.memory.arena_bytes()) / (1 << 20));
  }
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app("What memory policies cost in time, measured and predicted", "bench-policies");
  std::string backend = "auto", recipe = "fp8";
  int rounds = 7;
  app.add_option("--backend", backend, "auto, vulkan, cuda or BACKEND:N");
  app.add_option("--recipe", recipe, "fp32, bf16 or fp8")->check(CLI::IsMember({"fp32", "bf16", "fp8"}));
  app.add_option("--rounds", rounds, "timed steps of each")->check(CLI::Range(1, 1000));
  CLI11_PARSE(app, argc, argv);
  return bench::exit_of("bench-policies", [&] { run(backend, recipe, rounds); });
}
