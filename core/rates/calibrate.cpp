#include "core/rates/calibrate.h"

#include <algorithm>
#include <cmath>

#include "core/base/median.h"
#include "core/base/stopwatch.h"
#include "core/graph/backward.h"
#include "core/rates/between_sizes.h"
#include "core/rates/cost_model.h"
#include "core/runtime/profile.h"
#include "core/step/compile_step.h"
#include "core/step/synthetic.h"

namespace tandem {
namespace {

constexpr uint32_t kFirstHidden = 256, kLastHidden = 4096;
constexpr double kLongRun = 0.2;  // seconds of a step after which no larger model, 8 times the work, is tried
// Seconds of steps that run first, and again before each profile; narrower models' by their width. A GPU at its power
// limit lowers its clock after a while, and rests between the instructions of a profile.
constexpr double kHeat = 10.0, kHeatAgain = 0.5;
constexpr int kProfiles = 5;  // runs of each step; the median run of each instruction counts
constexpr uint64_t kCopyBytes = 64 << 20;
constexpr int kCopies = 4;
constexpr uint32_t kFewLaunches = 64, kManyLaunches = 576;
constexpr int kLaunchRuns = 5;

// One layer, and a vocabulary that makes the LM head about as large as one of its products.
ModelConfig model_of(uint32_t hidden, uint32_t head_dim) {
  ModelConfig c;
  c.family = Family::llama;
  c.vocabulary = 2 * hidden;
  c.hidden = hidden;
  c.ffn = 3 * hidden;
  c.layers = 1;
  c.head_dim = head_dim;
  c.q_heads = hidden / c.head_dim;
  c.kv_heads = std::max(1u, c.q_heads / 4);
  c.tied = true;
  c.max_positions = 1024;
  return c;
}

StepShape shape_of(uint32_t hidden) {
  StepShape shape;
  shape.sequence_length = std::min(1024u, hidden);
  shape.micro_batch = (hidden < 1024 ? 2 : 4) * hidden / shape.sequence_length;
  return shape;
}

Precision precision_of(const std::string& recipe) {
  Precision p;
  p.recipe = recipe == "fp8" ? Recipe::fp8 : recipe == "bf16" ? Recipe::bf16 : Recipe::fp32;
  if (p.recipe == Recipe::fp32) p.gradient = p.m = p.v = DType::f32;
  return p;
}

// What dispatches of one kind do, and how long they take.
struct Sum {
  double flops = 0, bytes = 0, seconds = 0;

  void add(const DispatchTime& t) {
    flops += double(t.cost.flops);
    bytes += double(t.cost.bytes);
    seconds += t.seconds;
  }
  double flop_rate() const { return flops / seconds; }
  double byte_rate() const { return bytes / seconds; }
};

// Products of one dtype, each by its size, the cube root of m n k.
using Products = std::vector<std::pair<double, Sum>>;

struct Measured {
  Products e4m3, bf16, f32;                                        // all models'
  Sum attention, attention_backward, passes, quantize, optimizer;  // the last one's
  double longest = 0;                                              // seconds of a step of the last one
};

void add_product(Products& products, const DispatchTime& t) {
  const Cost::Product& p = t.cost.product;
  Sum sum;
  sum.add(t);
  products.push_back({std::cbrt(double(p.m) * double(p.n) * double(p.k)), sum});
}

// True if the dispatch moves next to nothing of its operands: what checks a guess and finds it right.
bool is_check(const DispatchTime& t) {
  uint64_t operands = 0;
  for (const Operand& o : t.dispatch->operands) operands += o.buffer.bytes;
  return t.cost.bytes < operands / 16;
}

void add(Measured& m, const DispatchTime& t) {
  const DType dtype = t.dispatch->operands[0].desc.dtype;
  switch (op_of(t.dispatch->op).cost_class) {
    case CostClass::product:
      return add_product(dtype == DType::e4m3 ? m.e4m3 : dtype == DType::bf16 ? m.bf16 : m.f32, t);
    case CostClass::attention:  // in f32, outside the matrix units
      if (dtype != DType::f32) m.attention.add(t);
      return;
    case CostClass::attention_backward:
      if (dtype != DType::f32) m.attention_backward.add(t);
      return;
    case CostClass::memory:
      if (dtype != DType::f32 && !is_check(t)) (has_codes(descs_of(*t.dispatch)) ? m.quantize : m.passes).add(t);
      return;
    case CostClass::optimizer:
      return m.optimizer.add(t);
    case CostClass::gradient_norm:
      return;
  }
}

// FLOP/s by size, ascending; products of about one size together.
using Curve = std::vector<std::pair<double, double>>;

Curve curve_of(Products products) {
  constexpr double kAlike = 1.25;  // times the smallest of a group
  std::ranges::sort(products, {}, &Products::value_type::first);
  Curve curve;
  for (size_t first = 0; first < products.size();) {
    Sum sum;
    double sizes = 0;  // weighted by FLOPs
    size_t end = first;
    for (; end < products.size() && products[end].first <= kAlike * products[first].first; ++end) {
      const auto& [size, one] = products[end];
      sum.flops += one.flops;
      sum.seconds += one.seconds;
      sizes += size * one.flops;
    }
    curve.push_back({sizes / sum.flops, sum.flop_rate()});
    first = end;
  }
  return curve;
}

double best_of(const Curve& curve) {
  double best = 0;
  for (const auto& [size, rate] : curve) best = std::max(best, rate);
  return best;
}

double rate_at(const Curve& curve, double size) {
  return between_sizes(curve, size, &Curve::value_type::first, &Curve::value_type::second);
}

void set_products(Rates& rates, const Measured& m) {
  const Curve e4m3 = curve_of(m.e4m3), bf16 = curve_of(m.bf16), f32 = curve_of(m.f32);
  rates.e4m3 = best_of(e4m3), rates.bf16 = best_of(bf16), rates.f32 = best_of(f32);
  const auto share = [](const Curve& curve, double size, double best) {
    return curve.empty() ? 0 : rate_at(curve, size) / best;
  };
  for (const auto& [size, rate] : bf16)  // The LM head's are of all recipes.
    rates.products.push_back({size, share(e4m3, size, rates.e4m3), rate / rates.bf16, share(f32, size, rates.f32)});
}

void set_rates(Rates& rates, const Measured& m, const Measured& narrow) {
  set_products(rates, m);
  rates.attention = m.attention.flop_rate();
  rates.attention_backward = m.attention_backward.flop_rate();
  rates.narrow_attention = narrow.attention.flop_rate();
  rates.narrow_attention_backward = narrow.attention_backward.flop_rate();
  const double passes = m.passes.byte_rate(), optimizer = m.optimizer.byte_rate();
  const double quantize = m.quantize.bytes > 0 ? m.quantize.byte_rate() : 0;
  // Caches may be faster than the memory behind them.
  rates.bandwidth = std::max({rates.bandwidth, passes, quantize, optimizer});
  rates.passes = passes / rates.bandwidth;
  rates.quantize = quantize / rates.bandwidth;
  rates.optimizer = optimizer / rates.bandwidth;
}

// From the end of a dispatch to the start of the next, which waits for it.
double launch_seconds(Backend& backend) {
  const auto seconds = [&](uint32_t count) {
    Graph graph;
    const ValueId one = graph.variable("one", {DType::f32, {8}});
    ValueId total = one;
    for (uint32_t i = 0; i < count; ++i) total = sum(graph, Range::evaluate, total, one);
    Session session(backend, compile_to_run(std::move(graph), backend.target()).program);
    fill_with_zeros(session);
    return fastest_run(session, Range::evaluate, kLaunchRuns);
  };
  return std::max(1e-7, (seconds(kManyLaunches) - seconds(kFewLaunches)) / (kManyLaunches - kFewLaunches));
}

// Within the device, to and from the host, and both at once.
void measure_copies(Backend& backend, const Target& target, Rates& rates) {
  const uint64_t bytes = std::min({kCopyBytes, target.memory_bytes / 32, target.largest_arena}) / 4096 * 4096;
  const Queue in_queue = queue_for(Queue::in, target.queues), out_queue = queue_for(Queue::out, target.queues);
  const CopySpec within{ArenaKind::device, ArenaKind::device, Queue::compute},
      in{ArenaKind::host, ArenaKind::device, in_queue}, out{ArenaKind::device, ArenaKind::host, out_queue};
  const auto seconds = [&](std::initializer_list<CopySpec> specs) {
    return time_copies(backend, specs, bytes, kCopies) / kCopies;
  };
  rates.bandwidth = 2 * double(bytes) / seconds({within});
  const double in_alone = seconds({in}), out_alone = seconds({out});
  const bool side_by_side = in_queue != out_queue;
  const double slower = side_by_side ? seconds({in, out}) / std::max(in_alone, out_alone) : 1;
  rates.host_to_device = double(bytes) / (in_alone * std::max(1.0, slower));
  rates.device_to_host = double(bytes) / (out_alone * std::max(1.0, slower));
}

// The rate of a dispatch that reads host memory and writes as much of it.
double zero_copy_rate(Backend& backend, const Target& target) {
  const uint64_t bytes = std::min({kCopyBytes, target.memory_bytes / 32, target.largest_chunk}) / 4096 * 4096;
  const TensorDesc desc{DType::f32, {bytes / 4096, 1024}};
  Graph graph;
  const ValueId far = graph.variable("far", desc), near = graph.variable("near", desc);
  const ValueId total = sum(graph, Range::evaluate, far, near);
  graph.keep(total, "total");
  for (const ValueId v : {far, total}) graph.place_on_host(v);
  Session session(backend, compile_to_run(std::move(graph), backend.target()).program);
  fill_with_zeros(session);
  return double(bytes) / fastest_run(session, Range::evaluate, kLaunchRuns);
}

// A loaded step. Its batch is in both slots of its inputs after two steps, so it does not matter which one a profile
// reads.
struct Model {
  Session& session;
  StepRunner runner;
  StepBatch batch;
  uint64_t step = 0;
};

// Runs steps for so long. They learn as a run's do: on weights left as they were filled, an H200's products ran 4%
// faster than a run's.
void heat(Model& m, double seconds) {
  const auto start = std::chrono::steady_clock::now();
  while (m.step < 2 || seconds_since(start) < seconds) m.runner.finish(m.runner.train(m.batch, m.step++, 1e-4, 1));
}

// Times of whole steps: a micro-step that no begin came before would read beyond the step's tokens. Empty where the
// backend cannot tell times. share: of kHeatAgain.
std::vector<DispatchTime> dispatch_times(Model& m, double share) {
  std::vector<DispatchTime> times;
  std::vector<std::vector<double>> seconds;  // by dispatch: those of each run
  for (int i = 0; i < kProfiles; ++i) {
    heat(m, share * kHeatAgain);
    size_t d = 0;
    for (const Turns& turns : m.session.program().schedule)
      for (const DispatchTime& t : time_dispatches(m.session, turns.turn)) {
        if (i == 0) {
          times.push_back(t);
          seconds.emplace_back();
        }
        seconds[d++].push_back(t.seconds);
      }
  }
  for (size_t d = 0; d < times.size(); ++d) times[d].seconds = median(seconds[d]);
  return times;
}

// Adds the dispatches of a step; false: it does not fit.
bool measure_step(Backend& backend, const DeviceInfo& device, const ModelConfig& model, const Precision& precision,
                  Measured& measured) {
  const StepShape shape = shape_of(model.hidden);
  Compiled compiled = compile_step({model, precision, {}, shape}, {}, backend.target());
  if (measured.longest == 0 && model.hidden == kFirstHidden) require_fits(compiled.memory);
  if (!compiled.memory.fits()) return false;
  Session session(backend, std::move(compiled.program));
  Model m{session, StepRunner(session, shape, rope_table(model, shape.sequence_length)),
          synthetic_batch(shape, model.vocabulary)};
  fill_synthetic(session, model, precision);
  const double share = double(model.hidden) / kLastHidden;
  heat(m, share * kHeat);
  double seconds = 0;
  for (const DispatchTime& t : dispatch_times(m, share)) {
    add(measured, t);
    seconds += t.seconds;
  }
  if (seconds == 0)
    fail(Exit::device, device.name, "its {} backend cannot time instructions, so there is nothing to calibrate by",
         device.backend);
  for (uint32_t slot = 0; slot < 2; ++slot)
    TANDEM_CHECK(m.runner.report(slot).skipped == 0, "a step of slot {} did nothing, so its times mean nothing", slot);
  measured.longest = std::max(measured.longest, seconds);
  return true;
}

// A step of each recipe; products are added to those of the models before.
bool measure_steps(Backend& backend, const DeviceInfo& device, const ModelConfig& model, Measured& measured) {
  Measured now{.e4m3 = measured.e4m3, .bf16 = measured.bf16, .f32 = measured.f32};
  for (const std::string& recipe : device.recipes)
    if (!measure_step(backend, device, model, precision_of(recipe), now)) return false;
  measured = std::move(now);
  return true;
}

uint32_t head_dim_of(uint32_t hidden) {
  return hidden < 1024 ? kNarrowHead : 128;
}

}  // namespace

DeviceTable calibrate(Backend& backend, const DeviceInfo& device,
                      const std::function<void(const std::string&)>& progress) {
  DeviceTable table{.target = backend.target(), .info = device, .measured = true};
  table.target.memory_bytes = device.memory_bytes;
  table.target.reserve_bytes += backend.budget().margin;
  Rates& rates = table.target.rates;
  progress("launches");
  rates.launch_seconds = launch_seconds(backend);
  progress("copies");
  measure_copies(backend, table.target, rates);
  progress("zero-copy access");
  rates.zero_copy = zero_copy_rate(backend, table.target);
  Measured measured;
  uint32_t last = 0;
  for (uint32_t hidden = kFirstHidden; hidden <= kLastHidden && measured.longest < kLongRun; hidden *= 2) {
    progress(fmt::format("steps of a model {} wide", hidden));
    if (!measure_steps(backend, device, model_of(hidden, head_dim_of(hidden)), measured)) break;
    last = hidden;
  }
  progress("attention with narrow heads");
  Measured narrow;
  if (head_dim_of(last) == kNarrowHead) narrow = measured;
  else measure_steps(backend, device, model_of(last, kNarrowHead), narrow);
  set_rates(rates, measured, narrow);
  return table;
}

}  // namespace tandem
