// Time of a training step on a device, and where it goes. Prints one figure a line. Without --model: 11.1M parameters
// on 4 x 512 tokens, beside which tests/bench/pytorch_step.py runs the same step in PyTorch.
#include <CLI/CLI.hpp>
#include <algorithm>

#include "core/base/stopwatch.h"
#include "core/model/model_source.h"
#include "core/run/plan_record.h"
#include "core/run/settings.h"
#include "core/step/synthetic.h"
#include "tests/bench/bench.h"

using namespace tandem;

namespace {

struct Options {
  std::string model, recipe = "fp32", backend = "auto", memory, host_memory;
  bool fast_accumulation = false, by_shape = false;
  uint32_t micro_batch = 4, accumulation = 1, sequence_length = 512, steps = 10, warm_up = 2, head_chunks = 0;
};

// Qwen2, 11.1M parameters, tied head
ModelConfig small_config() {
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

// Takes what lies above --memory by a plain allocation, so that the cap is hard.
std::unique_ptr<Memory> cap_memory(Backend& backend, Target& target, const Options& o) {
  if (!o.host_memory.empty()) target.host_memory_bytes = parse_size(o.host_memory, "--host-memory");
  if (o.memory.empty()) return nullptr;
  const uint64_t cap = parse_size(o.memory, "--memory");
  if (cap >= target.memory_bytes) return nullptr;
  auto ballast = backend.allocate({"ballast", ArenaKind::device, target.memory_bytes - cap});
  target.memory_bytes = cap;
  return ballast;
}

// What was taken on the device since it was opened, beside `planned` bytes.
void print_rest(const char* after, Backend& backend, uint64_t planned) {
  if (const std::optional<uint64_t> free = backend.free_bytes())
    fmt::print("memory_rest_after_{}_bytes {}\n", after, int64_t(backend.budget().free_now - *free) - int64_t(planned));
}

void run(const Options& o) {
  const Precision precision = [&] {
    Precision p;
    p.recipe = o.recipe == "fp32" ? Recipe::fp32 : o.recipe == "bf16" ? Recipe::bf16 : Recipe::fp8;
    p.fast_accumulation = o.fast_accumulation;
    if (p.recipe == Recipe::fp32) p.gradient = p.m = p.v = DType::f32;
    return p;
  }();
  const ModelConfig config = o.model.empty() ? small_config() : open_model(o.model).config;
  const StepShape shape = with_head_chunks({o.micro_batch, o.accumulation, o.sequence_length, 1}, config, precision,
                                           o.head_chunks > 0 ? std::optional(o.head_chunks) : std::nullopt);
  const Registry registry = bench::backends();
  const DeviceInfo device = registry.choose(o.backend);
  const auto backend = registry.open(device);
  Target target = backend->target();
  for (const MemoryPart& part : backend->budget().taken) fmt::print("memory_{}_bytes {}\n", part.name, part.bytes);
  const std::unique_ptr<Memory> ballast = cap_memory(*backend, target, o);
  const uint64_t ballast_bytes = ballast ? backend->target().memory_bytes - target.memory_bytes : 0;
  RunConfig keys;
  const StepSpec spec{config, precision, {}, shape};
  if (o.head_chunks > 0) keys.memory.lm_head_chunks = o.head_chunks;
  const auto planning = std::chrono::steady_clock::now();
  StepPlan plan;
  Compiled compiled;
  if (o.memory.empty()) {
    compiled = compile_step({config, precision, {}, shape}, {}, target);
  } else {
    plan = plan_step(plan_request(keys, spec, target));
    if (!plan.fits())
      fail(Exit::does_not_fit, "plan", "takes {} bytes on the device of {}, {} on the host of {}",
           plan.chosen.device_bytes, target.memory_bytes, plan.chosen.host_bytes, target.host_memory_bytes);
    compiled = std::move(*plan.compiled);
    fmt::print(
        "plan_seconds {:.2f}\npredicted_step_seconds {:.4f}\nplanned_device_bytes {}\nplanned_host_gib "
        "{:.2f}\npredicted_exposed_copy_seconds {:.4f}\n",
        seconds_since(planning), plan.chosen.seconds(), plan.chosen.device_bytes,
        double(plan.chosen.host_bytes) / (1 << 30), plan.chosen.cost.exposed_copy);
    fmt::print("policy {}\n", policy_json(plan.chosen.policy, offload_words(spec)).dump());
  }
  fmt::print("device {}:{} {}\nrecipe {}\nmicro_batch {}\ngradient_accumulation {}\nsequence_length {}\n",
             device.backend, device.index, device.name, o.recipe, o.micro_batch, o.accumulation, o.sequence_length);
  fmt::print("device_gib {:.2f}\nmemory_over_lower_bound {:.3f}\n", double(compiled.memory.arena_bytes()) / (1 << 30),
             double(compiled.memory.arena_bytes()) / double(compiled.memory.lower_bound));
  const auto load = std::chrono::steady_clock::now();
  Session session(*backend, std::move(compiled.program));
  StepRunner runner(session, shape, rope_table(config, shape.sequence_length));
  const uint64_t planned_bytes = session.device_bytes() + target.staging_bytes + ballast_bytes;
  fmt::print("allocated_device_bytes {}\n", session.device_bytes() + target.staging_bytes + target.reserve_bytes);
  print_rest("load", *backend, planned_bytes);
  fill_synthetic(session, config, precision);
  fmt::print("load_seconds {:.2f}\n", seconds_since(load));
  const StepBatch batch = synthetic_batch(shape, config.vocabulary);

  std::vector<double> times;
  abi::StepReport report{};
  for (uint32_t s = 0; s < o.steps + o.warm_up; ++s) {
    const auto start = std::chrono::steady_clock::now();
    report = runner.finish(runner.train(batch, s, 1e-4, 1));
    if (s >= o.warm_up) times.push_back(seconds_since(start));
    if (s == 0) print_rest("first_step", *backend, planned_bytes);
  }
  const double seconds = median(times), tokens = double(shape.rows()) * o.accumulation;
  const Rates rates = has_rates(target) ? plan_request(keys, spec, target).target.rates : Rates{};
  const bench::By by = o.by_shape ? bench::By::shape : bench::By::op;
  std::map<std::string, bench::Share> by_op;
  for (const Turns& turns : session.program().schedule) bench::add_shares(session, turns, rates, by, by_op);
  double flops = 0, dispatches = 0, alone = 0, floor = 0, library = 0;
  for (const auto& [op, share] : by_op) {
    flops += double(share.flops), dispatches += double(share.dispatches);
    alone += share.seconds, floor += share.floor, library += share.library ? share.seconds : share.floor;
  }
  fmt::print("loss {:.5f}\ngrad_norm {:.5f}\n", report.loss, report.grad_norm);
  fmt::print("step_seconds_median {:.4f}\nstep_seconds_min {:.4f}\ntokens_per_second {:.0f}\ntflop_per_second {:.3f}\n",
             seconds, *std::ranges::min_element(times), tokens / seconds, flops / seconds * 1e-12);
  fmt::print("dispatches {:.0f}\ninstructions_alone_seconds {:.4f}\n", dispatches, alone);
  // library floor: products and attention as fast as they are here, every other byte at 90% of the bandwidth
  if (floor > 0) fmt::print("floor_seconds {:.4f}\nlibrary_floor_seconds {:.4f}\n", floor, library);
  bench::print_shares(by_op);
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app("Time of a training step, and where it goes", "bench-step");
  Options o;
  app.add_option("--model", o.model, "a directory with config.json; default: 11.1M parameters");
  app.add_option("--recipe", o.recipe, "fp32, bf16 or fp8")->check(CLI::IsMember({"fp32", "bf16", "fp8"}));
  app.add_flag("--fast-accumulation", o.fast_accumulation, "as precision.fast_accumulation");
  app.add_option("--backend", o.backend, "auto, vulkan, cuda or BACKEND:N");
  app.add_option("--micro-batch", o.micro_batch, "sequences");
  app.add_option("--accumulation", o.accumulation, "micro-steps per step");
  app.add_option("--sequence-length", o.sequence_length, "tokens");
  app.add_option("--head-chunks", o.head_chunks, "LM-head chunks; default: chosen");
  app.add_option("--steps", o.steps, "timed steps");
  app.add_option("--memory", o.memory, "a hard cap on the device's memory, planned for: 16GiB");
  app.add_option("--host-memory", o.host_memory, "of the host, for what is moved there");
  app.add_flag("--by-shape", o.by_shape, "products by their m, n, k; + accumulates");
  app.add_option("--warm-up", o.warm_up, "steps before them");
  CLI11_PARSE(app, argc, argv);
  return bench::exit_of("bench-step", [&] { run(o); });
}
