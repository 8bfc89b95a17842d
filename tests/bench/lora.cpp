// Time of a LoRA step beside a step that trains every parameter, or beside a replay's, in one run on a device. Prints
// one figure per line.
#include <CLI/CLI.hpp>

#include "core/abi/state_codes.h"
#include "core/base/stopwatch.h"
#include "core/model/cut.h"
#include "core/model/model_source.h"
#include "core/run/settings.h"
#include "core/step/frozen_codes.h"
#include "core/step/layers_below.h"
#include "core/step/synthetic.h"
#include "tests/bench/bench.h"

using namespace tandem;

namespace {

struct Options {
  std::string model, recipe = "fp8", backend = "auto", memory, host_memory;
  uint32_t rank = 16, first_layer = 0, micro_batch = 16, accumulation = 8, sequence_length = 1024, steps = 5,
           warm_up = 2;
  bool lora_alone = false;
};

StepSpec spec_of(const Options& o, const ModelConfig& config, bool adapters) {
  StepSpec spec{.model = config};
  spec.precision.recipe = o.recipe == "bf16" ? Recipe::bf16 : Recipe::fp8;
  if (adapters) {
    spec.lora = {.rank = o.rank, .modules = std::vector<EnumSet<LoraModule>>(o.first_layer)};
    spec.lora.modules.push_back(kAllLinears);
    spec.precision.gradient = DType::f32, spec.precision.master = true;
    spec.optimizer.master_dtype = DType::f32;
  }
  spec.shape = with_head_chunks({o.micro_batch, o.accumulation, o.sequence_length, 1}, config, spec.precision);
  return spec;
}

// What the products of adapters take of all instructions, each run alone.
double adapter_share(Session& session, uint32_t width) {
  std::map<std::string, bench::Share> by_shape;
  for (const Turns& turns : session.program().schedule)
    if (turns.turn.range == Range::micro_step) bench::add_shares(session, turns, {}, bench::By::shape, by_shape);
  double all = 0, adapters = 0;
  for (const auto& [name, share] : by_shape) {
    all += share.seconds;
    const bool product = name.starts_with("gemm") && name.find(fmt::format(" {} ", width)) != name.npos;
    if (name.starts_with("lora_") || product) adapters += share.seconds;
  }
  return adapters / all;
}

// Returns tokens per second.
double measure(const Options& o, const char* name, const StepSpec& spec, Backend& backend) {
  Target target = with_measured_rates(backend.target());
  if (!o.memory.empty()) target.memory_bytes = parse_size(o.memory, "--memory");
  if (!o.host_memory.empty()) target.host_memory_bytes = parse_size(o.host_memory, "--host-memory");
  StepPlan plan = plan_step(plan_request({}, spec, target));
  if (!plan.fits()) fail(Exit::does_not_fit, name, "takes {} bytes on the device", plan.chosen.device_bytes);
  fmt::print("{}_planned_device_bytes {}\n{}_planned_host_bytes {}\n", name, plan.chosen.device_bytes, name,
             plan.chosen.host_bytes);
  StepShape shape = spec.shape;
  shape.head_chunks = plan.chosen.policy.lm_head_chunks;
  Session session(backend, std::move(plan.compiled->program));
  StepRunner runner(session, shape, rope_table(spec.model, shape.sequence_length));
  fmt::print("{}_allocated_device_bytes {}\n", name,
             session.device_bytes() + target.staging_bytes + target.reserve_bytes);
  fill_synthetic(session, spec.model, spec.precision, spec.lora);
  StepBatch batch = synthetic_batch(shape, spec.model.vocabulary);
  if (spec.model.first_layer > 0) {  // streams of zeros take as long as others
    batch.codes.resize(batch.inputs.size() * spec.model.hidden);
    batch.scales.resize(batch.inputs.size() * (abi::coded_row_bytes(spec.model.hidden) - spec.model.hidden));
  }
  std::vector<double> times;
  for (uint32_t s = 0; s < o.steps + o.warm_up; ++s) {
    const auto start = std::chrono::steady_clock::now();
    runner.finish(runner.train(batch, s, 1e-4, 1));
    if (s >= o.warm_up) times.push_back(seconds_since(start));
  }
  const double rate = double(shape.rows()) * shape.accumulation / median(times);
  fmt::print("{}_step_seconds_median {:.4f}\n{}_tokens_per_second {:.0f}\n", name, median(times), name, rate);
  if (spec.lora.on()) fmt::print("adapter_share {:.4f}\n", adapter_share(session, spec.lora.padded_rank()));
  return rate;
}

// Seconds that the codes of all layers take, from those of one.
void time_codes(const StepSpec& spec, Backend& backend) {
  if (!spec.precision.fp8()) return;
  const StepSpec one = with_layers(spec, 0, 1);
  Session session(backend, compile_step(one, {}, backend.target()).program);
  double seconds = 0;
  for (const ParameterSpec& weight : parameter_specs(one)) {
    if (!has_codes(weight, one.precision)) continue;
    const std::vector<std::byte> data(TensorDesc{DType::bf16, weight.shape}.bytes());
    const auto start = std::chrono::steady_clock::now();
    write_codes(session, weight, data);
    seconds += seconds_since(start);
  }
  fmt::print("codes_seconds {:.2f}\n", seconds * spec.model.layers);
}

// Tokens per second of the pass that makes streams, without the disk.
double measure_below(const Options& o, const StepSpec& spec, Backend& backend) {
  LayersBelow below(backend, backend.target(), spec);
  Session& session = below.session();
  const ModelConfig model = layers_below(whole(spec.model), spec.model.first_layer);
  fill_synthetic(session, model, spec.precision, {.rank = spec.lora.rank, .modules = {EnumSet<LoraModule>{}}});
  std::vector<std::byte> codes(session.desc("codes").bytes());
  std::vector<double> times;
  for (uint32_t s = 0; s < o.steps + o.warm_up; ++s) {
    const auto start = std::chrono::steady_clock::now();
    session.run(Range::evaluate);
    session.read("codes", codes);
    if (s >= o.warm_up) times.push_back(seconds_since(start));
  }
  const double rate = double(session.desc("codes").shape[0]) / median(times);
  fmt::print("below_device_bytes {}\nbelow_tokens_per_second {:.0f}\n", session.device_bytes(), rate);
  return rate;
}

// Three epochs of adapters from first_layer on, with the layers below and on stored streams.
void compare_replay(const Options& o, const StepSpec& adapted, double lora, Backend& backend) {
  const StepSpec spec = replayed(adapted, {.directory = "streams", .rounding = false});
  const double below = measure_below(o, spec, backend), replay = measure(o, "replay", spec, backend);
  constexpr double kEpochs = 3, kTokens = 1e6;
  fmt::print("stream_bytes_per_token {}\n", abi::coded_row_bytes(spec.model.hidden));
  fmt::print("lora_seconds_of_3_epochs_per_million_tokens {:.2f}\n", kEpochs * kTokens / lora);
  fmt::print("replay_seconds_of_3_epochs_per_million_tokens {:.2f}\n", kTokens / below + kEpochs * kTokens / replay);
}

void run(const Options& o) {
  const ModelConfig config = open_model(o.model).config;
  const Registry registry = bench::backends();
  const DeviceInfo device = registry.choose(o.backend);
  const auto backend = registry.open(device);
  fmt::print("device {}:{} {}\nrecipe {}\nrank {}\n", device.backend, device.index, device.name, o.recipe, o.rank);
  const StepSpec adapted = spec_of(o, config, true);
  time_codes(adapted, *backend);
  const double lora = measure(o, "lora", adapted, *backend);
  if (o.first_layer > 0) return compare_replay(o, adapted, lora, *backend);
  if (o.lora_alone) return;
  const double full = measure(o, "full", spec_of(o, config, false), *backend);
  fmt::print("lora_over_full {:.3f}\n", lora / full);
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app("Time of a LoRA step beside one that trains every parameter", "bench-lora");
  Options o;
  o.model = "configs/models/quickstart";
  app.add_option("--model", o.model, "a directory with config.json");
  app.add_option("--recipe", o.recipe, "bf16 or fp8")->check(CLI::IsMember({"bf16", "fp8"}));
  app.add_option("--backend", o.backend, "auto, vulkan, cuda or BACKEND:N");
  app.add_option("--rank", o.rank, "of every linear's adapter");
  app.add_option("--first-layer", o.first_layer, "the lowest with adapters; above 0: compared with a replay");
  app.add_option("--micro-batch", o.micro_batch, "sequences");
  app.add_option("--accumulation", o.accumulation, "micro-steps per step");
  app.add_option("--sequence-length", o.sequence_length, "tokens");
  app.add_option("--steps", o.steps, "timed steps");
  app.add_option("--warm-up", o.warm_up, "steps before them");
  app.add_option("--memory", o.memory, "of the device, planned for: 12GiB");
  app.add_option("--host-memory", o.host_memory, "of the host, for what is moved there");
  app.add_flag("--lora-alone", o.lora_alone, "no step that trains every parameter");
  CLI11_PARSE(app, argc, argv);
  return bench::exit_of("bench-lora", [&] { run(o); });
}
