// Time of a training step on a Vulkan device, and where it goes. Beside it, in one run, the same step in PyTorch:
// tests/bench/pytorch_step.py. usage: bench-step [RECIPE] [STEPS]. Prints one figure a line.
#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <map>

#include "backends/vulkan/vulkan.h"
#include "core/passes/compile.h"
#include "core/train/setup.h"
#include "core/train/step_runner.h"

using namespace tandem;

namespace {

// Qwen2, 11.1M parameters, tied head
ModelConfig bench_config() {
  ModelConfig c;
  c.family = Family::qwen2;
  c.vocabulary = 257;
  c.hidden = 384;
  c.ffn = 1024;
  c.layers = 7;
  c.q_heads = 6;
  c.kv_heads = 2;
  c.head_dim = 64;
  c.tied = true;
  c.qkv_bias = true;
  c.max_positions = 512;
  return c;
}

StepBatch random_batch(const StepShape& shape, uint32_t vocabulary) {
  StepBatch batch;
  for (uint32_t i = 0; i < shape.rows(); ++i) {
    batch.inputs.push_back(int32_t(i * 7919u % vocabulary));
    batch.targets.push_back(int32_t((i + 1) * 7919u % vocabulary));
    batch.positions.push_back(int32_t(i % shape.sequence_length));
  }
  batch.valid_targets = shape.rows();
  return batch;
}

double median(std::vector<double> values) {
  std::nth_element(values.begin(), values.begin() + ptrdiff_t(values.size() / 2), values.end());
  return values[values.size() / 2];
}

struct Share {
  double seconds = 0;
  uint64_t flops = 0, bytes = 0, dispatches = 0;
};

// by op, over the ranges of a step
std::map<std::string, Share> shares(Session& session) {
  std::map<std::string, Share> by_op;
  for (Range range : {Range::begin, Range::micro_step, Range::update}) {
    const std::vector<double> seconds = session.executable().profile(range);
    const auto& code = session.program().range(range);
    for (size_t i = 0; i < code.size() && i < seconds.size(); ++i) {
      const auto* d = std::get_if<Dispatch>(&code[i].command);
      if (d == nullptr) continue;
      std::vector<TensorDesc> descs;
      for (const Operand& o : d->operands) descs.push_back(o.desc);
      const Cost cost = op_of(d->op).cost(d->parameters, descs);
      Share& share = by_op[std::string(name_of(d->op))];
      share.seconds += seconds[i];
      share.flops += cost.flops;
      share.bytes += cost.bytes;
      ++share.dispatches;
    }
  }
  return by_op;
}

}  // namespace

int main(int argc, char** argv) {
  const std::string recipe = argc > 1 ? argv[1] : "fp32";
  const int steps = argc > 2 ? std::atoi(argv[2]) : 10;
  Precision precision;
  precision.recipe = recipe == "fp32" ? Recipe::fp32 : recipe == "bf16" ? Recipe::bf16 : Recipe::fp8;
  if (recipe == "fp32") precision.gradient = precision.m = precision.v = DType::f32;
  const ModelConfig config = bench_config();
  const StepShape shape{4, 1, 512, 1};
  const auto backend = vulkan_backend().open(0);
  Compiled compiled = compile(build_step_graph(config, precision, {}, shape), backend->target());
  fmt::print("memory_over_lower_bound {:.3f}\n",
             double(compiled.memory.device_bytes()) / double(compiled.memory.lower_bound));
  Session session(*backend, std::move(compiled.program));
  StepRunner runner(session, shape, rope_table(config, shape.sequence_length));
  initialise_parameters(session, {"", config}, precision, 1);
  const StepBatch batch = random_batch(shape, config.vocabulary);

  std::vector<double> times;
  for (int s = 0; s < steps + 2; ++s) {
    const auto start = std::chrono::steady_clock::now();
    runner.finish(runner.train(batch, uint64_t(s), 1e-4, 1));
    if (s >= 2) times.push_back(std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
  }
  fmt::print("recipe {}\nstep_seconds_median {:.3f}\nstep_seconds_min {:.3f}\n", recipe, median(times),
             *std::min_element(times.begin(), times.end()));

  double total = 0;
  uint64_t dispatches = 0;
  const auto by_op = shares(session);
  for (const auto& [op, share] : by_op) total += share.seconds, dispatches += share.dispatches;
  fmt::print("dispatches {}\n", dispatches);
  for (const auto& [op, s] : by_op)
    fmt::print("{:<28} {:5.1f}%  {:7.2f} ms  {:4} dispatches  {:6.1f} GFLOP/s  {:5.1f} GB/s\n", op,
               100 * s.seconds / total, 1e3 * s.seconds, s.dispatches, double(s.flops) / s.seconds * 1e-9,
               double(s.bytes) / s.seconds * 1e-9);
  return 0;
}
