#include "core/plan/calibrate.h"

#include <algorithm>
#include <chrono>
#include <cmath>

#include "core/graph/backward.h"
#include "core/runtime/profile.h"
#include "core/step/compile_step.h"
#include "core/step/synthetic.h"

namespace tandem {
namespace {

constexpr uint32_t kFirstHidden = 256, kLastHidden = 4096;
constexpr double kLongRun = 0.2;  // seconds of a step after which no larger model, 8 times the work, is tried
constexpr double kHeat = 1.0;     // seconds of steps first: a GPU at its power limit lowers its clock after a while
constexpr int kProfiles = 5;      // runs of each step; the median run of each instruction counts
constexpr uint64_t kCopyBytes = 64 << 20;
constexpr int kCopies = 4;
constexpr uint32_t kFewLaunches = 64, kManyLaunches = 576;
constexpr int kLaunchRuns = 5;

// One layer, and a vocabulary that makes the LM head about as large as one of its products.
ModelConfig model_of(uint32_t hidden) {
  ModelConfig c;
  c.family = Family::llama;
  c.vocabulary = 2 * hidden;
  c.hidden = hidden;
  c.ffn = 3 * hidden;
  c.layers = 1;
  c.head_dim = hidden < 1024 ? 64 : 128;
  c.q_heads = hidden / c.head_dim;
  c.kv_heads = std::max(1u, c.q_heads / 4);
  c.tied = true;
  c.max_positions = 1024;
  return c;
}

StepShape shape_of(uint32_t hidden) {
  StepShape shape;
  shape.sequence_length = std::min(1024u, hidden);
  shape.micro_batch = 2 * hidden / shape.sequence_length;
  return shape;
}

Precision precision_of(const std::string& recipe) {
  Precision p;
  p.recipe = recipe == "fp8" ? Recipe::fp8 : recipe == "bf16" ? Recipe::bf16 : Recipe::fp32;
  if (p.recipe == Recipe::fp32) p.gradient = p.m = p.v = DType::f32;
  return p;
}

double median(std::vector<double> values) {
  std::ranges::nth_element(values, values.begin() + std::ptrdiff_t(values.size() / 2));
  return values[values.size() / 2];
}

// What dispatches of one kind do, and how long they take.
struct Sum {
  double flops = 0, bytes = 0, seconds = 0;
  double cubes = 0;  // for products: m n k, weighted by FLOPs

  void add(const DispatchTime& t) {
    flops += double(t.cost.flops);
    bytes += double(t.cost.bytes);
    seconds += t.seconds;
    const Cost::Product& p = t.cost.product;
    cubes += double(t.cost.flops) * std::cbrt(double(p.m) * double(p.n) * double(p.k));
  }
  double size() const { return cubes / flops; }
  double flop_rate() const { return flops / seconds; }
};

// Sums over the steps of one model under every recipe.
struct Sums {
  Sum e4m3, bf16, f32, attention, attention_backward, passes, optimizer;

  Sum* of(const Dispatch& d) {
    const DType dtype = d.operands[0].desc.dtype;
    switch (op_of(d.op).cost_class) {
      case CostClass::product:
        return dtype == DType::e4m3 ? &e4m3 : dtype == DType::bf16 ? &bf16 : &f32;
      case CostClass::attention:  // in f32, outside the matrix units
        return dtype == DType::f32 ? nullptr : &attention;
      case CostClass::attention_backward:
        return dtype == DType::f32 ? nullptr : &attention_backward;
      case CostClass::memory:
        return dtype == DType::f32 ? nullptr : &passes;
      case CostClass::optimizer:
        return &optimizer;
      case CostClass::gradient_norm:
        break;
    }
    return nullptr;
  }
};

class Calibration {
 public:
  Calibration(Backend& backend, const DeviceInfo& device, const std::function<void(const std::string&)>& progress)
      : backend_(backend), device_(device), progress_(progress) {}

  DeviceTable run() {
    table_.measured = true;
    table_.info = device_;
    table_.target = backend_.target();
    table_.target.memory_bytes = device_.memory_bytes;
    table_.target.reserve_bytes += backend_.budget().margin;
    launches();
    copies();
    zero_copy();
    double seconds = 0;
    for (uint32_t hidden = kFirstHidden; hidden <= kLastHidden && seconds < kLongRun; hidden *= 2) {
      progress_(fmt::format("steps of a model {} wide", hidden));
      const std::optional<double> step = steps(hidden);
      if (!step) break;
      seconds = *step;
    }
    rates();
    return std::move(table_);
  }

 private:
  // from the end of a dispatch to the start of the next, which waits for it
  void launches() {
    progress_("launches");
    const auto seconds = [&](uint32_t count) {
      Graph graph;
      const ValueId one = graph.variable("one", {DType::f32, {8}});
      ValueId total = one;
      for (uint32_t i = 0; i < count; ++i) total = sum(graph, Range::evaluate, total, one);
      Session session(backend_, compile_to_run(std::move(graph), backend_.target()).program);
      fill_with_zeros(session);
      return fastest_run(session, Range::evaluate, kLaunchRuns);
    };
    const double few = seconds(kFewLaunches), many = seconds(kManyLaunches);
    table_.target.rates.launch_seconds = std::max(1e-7, (many - few) / (kManyLaunches - kFewLaunches));
  }

  // within the device, to and from the host, and both at once
  void copies() {
    progress_("copies");
    const Target& target = table_.target;
    const uint64_t bytes = std::min({kCopyBytes, target.memory_bytes / 32, target.largest_arena}) / 4096 * 4096;
    const Queue in_queue = queue_for(Queue::in, target.queues), out_queue = queue_for(Queue::out, target.queues);
    const CopySpec within{ArenaKind::device, ArenaKind::device, Queue::compute},
        in{ArenaKind::host, ArenaKind::device, in_queue}, out{ArenaKind::device, ArenaKind::host, out_queue};
    const auto seconds = [&](std::initializer_list<CopySpec> specs) {
      return time_copies(backend_, specs, bytes, kCopies) / kCopies;
    };
    Rates& rates = table_.target.rates;
    rates.bandwidth = 2 * double(bytes) / seconds({within});
    const double in_alone = seconds({in}), out_alone = seconds({out});
    const bool side_by_side = in_queue != out_queue;
    const double slower = side_by_side ? seconds({in, out}) / std::max(in_alone, out_alone) : 1;
    rates.host_to_device = double(bytes) / (in_alone * std::max(1.0, slower));
    rates.device_to_host = double(bytes) / (out_alone * std::max(1.0, slower));
  }

  // The rate of a dispatch that reads host memory and writes as much of it
  void zero_copy() {
    progress_("zero-copy access");
    const Target& target = table_.target;
    const uint64_t bytes = std::min({kCopyBytes, target.memory_bytes / 32, target.largest_chunk}) / 4096 * 4096;
    const TensorDesc desc{DType::f32, {bytes / 4096, 1024}};
    Graph graph;
    const ValueId far = graph.variable("far", desc), near = graph.variable("near", desc);
    const ValueId total = sum(graph, Range::evaluate, far, near);
    graph.keep(total, "total");
    for (const ValueId v : {far, total}) graph.place_on_host(v);
    Session session(backend_, compile_to_run(std::move(graph), backend_.target()).program);
    fill_with_zeros(session);
    table_.target.rates.zero_copy = double(bytes) / fastest_run(session, Range::evaluate, kLaunchRuns);
  }

  // seconds of the longest recipe's step; none: it does not fit
  std::optional<double> steps(uint32_t hidden) {
    Sums sums;
    double longest = 0;
    for (const std::string& recipe : device_.recipes) {
      const std::optional<double> seconds = step(hidden, precision_of(recipe), sums);
      if (!seconds) return {};
      longest = std::max(longest, *seconds);
    }
    by_size_.push_back(sums);
    return longest;
  }

  std::optional<double> step(uint32_t hidden, const Precision& precision, Sums& sums) {
    const ModelConfig model = model_of(hidden);
    const StepShape shape = shape_of(hidden);
    Compiled compiled = compile_step({model, precision, {}, shape}, {}, backend_.target());
    if (by_size_.empty()) require_fits(compiled.memory);
    if (!compiled.memory.fits()) return {};
    Session session(backend_, std::move(compiled.program));
    StepRunner runner(session, shape, rope_table(model, shape.sequence_length));
    fill_synthetic(session, model, precision);
    const StepBatch batch = synthetic_batch(shape, model.vocabulary);
    heat(runner, batch);
    double seconds = 0;
    for (const DispatchTime& t : dispatch_times(session)) {
      if (Sum* sum = sums.of(*t.dispatch)) sum->add(t);
      seconds += t.seconds;
    }
    for (uint32_t slot = 0; slot < 2; ++slot)
      TANDEM_CHECK(runner.report(slot).skipped == 0, "a step of slot {} did nothing, so its times mean nothing", slot);
    return seconds;
  }

  // Fills both slots of a step's inputs, and brings the device to the clock that long runs have.
  void heat(StepRunner& runner, const StepBatch& batch) const {
    const auto start = std::chrono::steady_clock::now();
    const auto elapsed = [&] {
      return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    };
    for (uint64_t s = 0; s < 2 || elapsed() < kHeat; ++s) runner.finish(runner.train(batch, s, 1e-4, 1));
  }

  // Times of whole steps: a micro-step that no begin came before would read beyond the step's tokens.
  std::vector<DispatchTime> dispatch_times(Session& session) const {
    std::vector<DispatchTime> times;
    std::vector<std::vector<double>> seconds;  // by dispatch: those of each run
    for (int i = 0; i < kProfiles; ++i) {
      size_t d = 0;
      for (const Turns& turns : session.program().schedule)
        for (const DispatchTime& t : time_dispatches(session, turns.turn)) {
          if (i == 0) {
            times.push_back(t);
            seconds.emplace_back();
          }
          seconds[d++].push_back(t.seconds);
        }
    }
    if (times.empty())
      fail(Exit::device, device_.name, "its {} backend cannot time instructions, so there is nothing to calibrate by",
           device_.backend);
    for (size_t d = 0; d < times.size(); ++d) times[d].seconds = median(seconds[d]);
    return times;
  }

  // Rates of the largest model; products of smaller ones as shares of its
  void rates() {
    Rates& r = table_.target.rates;
    const Sums& last = by_size_.back();
    const bool fp8 = last.e4m3.flops > 0;
    r.e4m3 = fp8 ? last.e4m3.flop_rate() : 0;
    r.bf16 = last.bf16.flop_rate();
    r.f32 = last.f32.flop_rate();
    r.attention = last.attention.flop_rate();
    r.attention_backward = last.attention_backward.flop_rate();
    const double passes = last.passes.bytes / last.passes.seconds,
                 optimizer = last.optimizer.bytes / last.optimizer.seconds;
    r.bandwidth = std::max({r.bandwidth, passes, optimizer});  // caches may be faster than the memory behind them
    r.passes = passes / r.bandwidth;
    r.optimizer = optimizer / r.bandwidth;
    for (const Sums& s : by_size_)
      r.products.push_back({s.bf16.size(), fp8 ? s.e4m3.flop_rate() / r.e4m3 : 0, s.bf16.flop_rate() / r.bf16,
                            s.f32.flop_rate() / r.f32});
  }

  Backend& backend_;
  const DeviceInfo& device_;
  const std::function<void(const std::string&)>& progress_;
  DeviceTable table_;
  std::vector<Sums> by_size_;
};

}  // namespace

DeviceTable calibrate(Backend& backend, const DeviceInfo& device,
                      const std::function<void(const std::string&)>& progress) {
  return Calibration(backend, device, progress).run();
}

}  // namespace tandem
