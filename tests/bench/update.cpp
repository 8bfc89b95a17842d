// Time of an optimizer's update alone, without the norm of the gradients before it, per kind and states: nanoseconds
// per 1000 elements, bytes that it reads and writes per element, and its share of the bandwidth that a copy within the
// device reaches; AdamW's with its states on the host too; of Muon the rate of its products beside that of plain
// products of the same shapes. Medians, but for the copy's fastest run; prints one figure per line.
#include <CLI/CLI.hpp>

#include "core/abi/gemm.h"
#include "core/abi/numeric.h"
#include "core/abi/step_scalars.h"
#include "core/abi/step_verdict.h"
#include "core/base/stopwatch.h"
#include "core/optimizer/optimizer.h"
#include "core/passes/chunk.h"
#include "core/passes/compile.h"
#include "core/passes/offload.h"
#include "core/runtime/profile.h"
#include "tests/bench/bench.h"

using namespace tandem;

namespace {

struct Options {
  std::string backend = "auto";
  uint64_t rows = 18944, columns = 3584, copy_bytes = uint64_t{1} << 30;  // gate, or up, of a 7B
  uint32_t layers = 4, runs = 20, warm_up = 3;
};

struct Case {
  std::string name;
  OptimizerOptions options;
  Precision precision;
};

std::vector<Case> cases() {
  using enum OptimizerKind;
  const Precision f32{.recipe = Recipe::fp32, .gradient = DType::f32, .m = DType::f32, .v = DType::f32};
  const Precision bf16{.recipe = Recipe::bf16};
  const Precision in_8bit{.recipe = Recipe::bf16, .m = DType::e4m3, .v = DType::e5m3};
  return {{"adamw_f32", {}, f32},
          {"adamw_bf16", {}, bf16},
          {"adamw_8bit", {}, in_8bit},
          {"sgd", {.kind = sgd}, bf16},
          {"adalomo", {.kind = adalomo}, bf16},
          {"muon", {.kind = muon}, bf16},
          {"apollo", {.kind = apollo}, bf16}};
}

// One matrix per layer.
std::vector<ParameterSpec> specs_of(const Options& o) {
  std::vector<ParameterSpec> specs;
  const Shape shape{o.rows, o.columns};
  for (uint32_t layer = 0; layer < o.layers; ++layer) {
    const std::string name = fmt::format("layers.{}.matrix", layer);
    specs.push_back({.name = name,
                     .shape = shape,
                     .parts = {{.name = name, .shape = shape, .place = shape, .number = layer}},
                     .layer = layer});
  }
  return specs;
}

Graph update_graph(const Case& kind, std::span<const ParameterSpec> specs) {
  Graph graph;
  const auto optimizer = make_optimizer(kind.options, kind.precision);
  const std::vector<std::string> words = state_words(*optimizer, specs);
  const ValueId verdict = graph.variable("verdict", {DType::u32, {abi::kStepScalarWords}});
  const ValueId update = optimizer->prepare(graph, verdict);
  const auto variable = [&](std::string name, const TensorDesc& desc, Tag tag) {
    const Scope scope(graph, tag);
    return graph.variable(std::move(name), desc, Initial::zero);
  };
  for (const ParameterSpec& spec : specs) {
    const ValueId gradient =
        variable(spec.name + ".gradient", {kind.precision.gradient, spec.shape}, {Kind::gradient, spec.layer});
    ValueIds updated{variable(spec.name, {kind.precision.compute(), spec.shape}, {Kind::parameter, spec.layer})};
    for (const State& state : optimizer->states(spec)) {
      const auto number = uint32_t(std::ranges::find(words, state.word) - words.begin());
      updated.push_back(
          variable(spec.name + state.suffix, state.desc, {.kind = Kind::state, .layer = spec.layer, .state = number}));
    }
    const Scope scope(graph, {Kind::other, spec.layer});
    optimizer->emit(graph, spec, update, gradient, updated);
  }
  return graph;
}

// As the planner does it: instructions of 2^24 elements, whose states come and go by turns.
Graph offloaded(const Graph& graph, const Target& target) {
  MemoryPolicy policy = uniform_policy({}, {offload_of_state(0), offload_of_state(1)});
  policy.optimizer_chunk = 1 << 24;
  return offload(chunk(graph, policy, target), policy);
}

void fill(Session& session, const std::string& name) {
  const TensorDesc& desc = session.desc(name);
  constexpr uint64_t kBlock = 1 << 20;
  const uint64_t size = size_of(desc.dtype);
  std::vector<std::byte> block(std::min(kBlock, desc.shape.count()) * size);
  for (uint64_t i = 0; i < block.size() / size; ++i) {
    const float x = float(int32_t(abi::philox(1, 2, uint32_t(i), 0, 0, 0).word[0])) * 0x1p-36f;
    const uint32_t code = desc.dtype == DType::bf16 ? abi::bf16_from_f32(x) : abi::float_bits(x);
    std::memcpy(block.data() + i * size, &code, size);
  }
  for (uint64_t at = 0; at < desc.bytes(); at += block.size())
    session.write(name, std::span(block).first(std::min<uint64_t>(block.size(), desc.bytes() - at)), at);
}

Session loaded(Backend& backend, Graph graph) {
  Session session(backend, compile_to_run(std::move(graph), backend.target()).program);
  for (const Binding& binding : session.program().bindings) {
    const bool is_filled = binding.name.ends_with(".matrix") || binding.name.ends_with(".gradient");
    is_filled ? fill(session, binding.name) : session.zero(binding.name);
  }
  if (session.has("verdict")) {
    const abi::Verdict verdict{.learning_rate = 1e-4f, .coefficient = 1, .seed_low = 1, .updates = 1};
    session.write("verdict", std::as_bytes(std::span(&verdict, 1)));
  }
  return session;
}

double median_of(const Options& o, const std::function<double()>& seconds) {
  std::vector<double> times;
  for (uint32_t run = 0; run < o.runs + o.warm_up; ++run)
    if (const double once = seconds(); run >= o.warm_up) times.push_back(once);
  return median(times);
}

// Seconds of the range, from its submission to its end.
double wall_seconds(Session& session, Range range) {
  const auto start = std::chrono::steady_clock::now();
  session.run(range);
  return seconds_since(start);
}

// Seconds of the range's instructions, each by itself; where the device cannot tell, of the whole range.
double seconds_of(Session& session, Range range) {
  double sum = 0;
  for (const DispatchTime& t : time_dispatches(session, range)) sum += t.seconds;
  return sum > 0 ? sum : wall_seconds(session, range);
}

// The products of the update alone, on operands of their own: C = A B of the same forms and sizes.
Graph plain_products(const Graph& update) {
  Graph graph;
  for (const Node& node : update.nodes()) {
    if (node.op != OpId::gemm) continue;
    ValueIds inputs;
    inputs.resize(5);
    for (size_t i = 0; i < 2; ++i)
      inputs[i] = graph.variable(fmt::format("{}.{}.matrix", graph.nodes().size(), i), update.desc(node.inputs[i]));
    const abi::Gemm p{.form = node.parameters.as<abi::Gemm>().form};
    const ValueId made = graph.add(Range::evaluate, OpId::gemm, Parameters(p), std::move(inputs), "product")[0];
    graph.keep(made, fmt::format("{}.product", graph.nodes().size()));
  }
  return graph;
}

uint64_t flops_of_products(const Graph& graph) {
  uint64_t flops = 0;
  for (const Node& node : graph.nodes())
    if (node.op == OpId::gemm) flops += op_of(node.op).cost(node.parameters, graph.operands_of(node)).flops;
  return flops;
}

uint64_t bytes_of(const Graph& graph) {
  uint64_t bytes = 0;
  for (const Node& node : graph.nodes())
    if (node.has_kernel()) bytes += op_of(node.op).cost(node.parameters, graph.operands_of(node)).bytes;
  return bytes;
}

void print(const std::string& kind, const char* figure, double value) {
  fmt::print("update_{}_{} {:.4g}\n", kind, figure, value);
}

void measure(const Options& o, const Case& kind, Backend& backend, double bandwidth) {
  const std::vector<ParameterSpec> specs = specs_of(o);
  const double elements = double(o.layers) * double(o.rows) * double(o.columns);
  const Graph graph = update_graph(kind, specs);
  const double bytes = double(bytes_of(graph));
  Session session = loaded(backend, graph);
  const double seconds = median_of(o, [&] { return seconds_of(session, Range::update); });
  print(kind.name, "ns_per_1000_elements", 1e12 * seconds / elements);
  print(kind.name, "bytes_per_element", bytes / elements);
  print(kind.name, "share_of_copy_bandwidth", bytes / seconds / bandwidth);
}

void measure_offloaded(const Options& o, const Case& kind, Backend& backend) {
  const double elements = double(o.layers) * double(o.rows) * double(o.columns);
  Session session = loaded(backend, offloaded(update_graph(kind, specs_of(o)), backend.target()));
  const double seconds = median_of(o, [&] { return wall_seconds(session, Range::update); });
  print(kind.name, "offloaded_ns_per_1000_elements", 1e12 * seconds / elements);
}

// One matrix: its products are the same in each layer.
void measure_products(Options o, const Case& kind, Backend& backend) {
  o.layers = 1;
  const Graph graph = update_graph(kind, specs_of(o)), plain = plain_products(graph);
  const auto flops = double(flops_of_products(graph));
  Session update = loaded(backend, graph), products = loaded(backend, plain);
  const double rate = flops / median_of(o, [&] { return seconds_of(update, Range::update); });
  const double most = flops / median_of(o, [&] { return seconds_of(products, Range::evaluate); });
  print(kind.name, "tflop_per_second", rate * 1e-12);
  print(kind.name, "gemm_tflop_per_second", most * 1e-12);
  print(kind.name, "share_of_gemm_rate", rate / most);
}

void run(const Options& o) {
  const Registry registry = bench::backends();
  const DeviceInfo device = registry.choose(o.backend);
  const auto backend = registry.open(device);
  fmt::print("device {}:{} {}\nrows {}\ncolumns {}\nmatrices {}\n", device.backend, device.index, device.name, o.rows,
             o.columns, o.layers);
  const CopySpec within{ArenaKind::device, ArenaKind::device};
  const double bandwidth = 2 * double(o.copy_bytes) / time_copies(*backend, {&within, 1}, o.copy_bytes, 1);
  fmt::print("copy_gb_per_second {:.1f}\n", bandwidth * 1e-9);
  for (const Case& kind : cases()) {
    measure(o, kind, *backend, bandwidth);
    if (kind.options.kind == OptimizerKind::adamw) measure_offloaded(o, kind, *backend);
    if (kind.options.kind == OptimizerKind::muon) measure_products(o, kind, *backend);
  }
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app("Time of an optimizer's update alone, per kind and states", "bench-update");
  Options o;
  app.add_option("--backend", o.backend, "auto, vulkan, cuda or BACKEND:N");
  app.add_option("--rows", o.rows, "of a matrix");
  app.add_option("--columns", o.columns, "of a matrix, a multiple of 8");
  app.add_option("--matrices", o.layers, "matrices that are updated");
  app.add_option("--copy-bytes", o.copy_bytes, "of the copy");
  app.add_option("--runs", o.runs, "timed updates");
  app.add_option("--warm-up", o.warm_up, "updates before them");
  CLI11_PARSE(app, argc, argv);
  return bench::exit_of("bench-update", [&] { run(o); });
}
