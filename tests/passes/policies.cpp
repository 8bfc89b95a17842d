// The memory passes on random layered graphs, run by the host executor: any policy gives the bits of none.
#include <doctest/doctest.h>

#include <map>
#include <random>

#include "core/abi/adamw.h"
#include "core/abi/adamw_corrections.h"
#include "core/abi/add.h"
#include "core/abi/gemm.h"
#include "core/abi/rms_norm.h"
#include "core/abi/step_scalars.h"
#include "core/abi/swiglu.h"
#include "core/graph/backward.h"
#include "core/program/verify.h"
#include "core/runtime/session.h"
#include "core/step/compile_step.h"
#include "tests/support/host_backend.h"
#include "tests/support/offload.h"

using namespace tandem;

namespace {

constexpr uint64_t kSize = 16;
const TensorDesc kSquare{DType::f32, {kSize, kSize}};

// Layers of random ops under random kinds, their gradient, and AdamW on every parameter.
class RandomStep {
 public:
  explicit RandomStep(uint32_t seed) : random_(seed) {
    layers_ = 2 + random_() % 4;
    const ValueId x = tagged(Kind::io, kNoLayer)->external("x", kSquare);
    begin();
    micro_step(x);
    update();
  }

  Graph graph;
  std::vector<std::string> inputs{"x", "cotangent", "scalars"}, results;

 private:
  struct Parameter {
    std::string name;
    ValueId value, gradient;  // gradient: once it is added up
    uint32_t layer;
  };

  struct Tagged {
    Scope scope;
    Graph* graph;
    Graph* operator->() const { return graph; }
  };
  // The graph, whose tag is this to the end of the expression.
  Tagged tagged(Kind kind, uint32_t layer, uint32_t state = 0) {
    return {Scope(graph, {.kind = kind, .layer = layer, .state = state}), &graph};
  }

  void begin() {
    for (uint32_t layer = 0; layer < layers_; ++layer)
      for (uint32_t i = 0; i < 3; ++i) {
        const std::string name = fmt::format("{}.{}", layer, i);
        const TensorDesc desc = i == 0   ? TensorDesc{DType::f32, {kSize}}
                                : i == 1 ? kSquare
                                         : TensorDesc{DType::f32, {2 * kSize, kSize}};
        const ValueId value = tagged(Kind::parameter, layer)->variable(name, desc);
        parameters_.push_back({name, value, {}, layer});
        inputs.push_back(name);
        results.insert(results.end(), {name, name + ".gradient"});
      }
  }

  ValueId any(const ValueIds& values) { return values[random_() % values.size()]; }

  ValueId gemm(ValueId x, ValueId w) {
    const abi::Gemm p{.form = abi::kGemmNt};
    return graph.add(Range::micro_step, OpId::gemm, Parameters(p), {x, w, {}, {}, {}})[0];
  }

  // adds one op on values of its layer
  void add_op(uint32_t layer, ValueIds& values) {
    constexpr Kind kKinds[] = {Kind::attention_norm, Kind::qkv,    Kind::attention, Kind::branch,
                               Kind::ffn_norm,       Kind::swiglu, Kind::ffn,       Kind::residual};
    const Scope scope(graph, {kKinds[random_() % std::size(kKinds)], layer});
    const Parameter* p = &parameters_[3 * layer];
    switch (random_() % 4) {
      case 0:
        values.push_back(gemm(any(values), p[1].value));
        break;
      case 1: {
        const ValueId wide = gemm(any(values), p[2].value);
        values.push_back(graph.add(Range::micro_step, OpId::swiglu, Parameters(abi::Swiglu{}), {wide})[0]);
        break;
      }
      case 2: {
        const abi::RmsNorm norm{.epsilon = 1e-6f};
        const auto out =
            graph.add(Range::micro_step, OpId::rms_norm, Parameters(norm), {any(values), any(values), p[0].value});
        values.append({out[0], out[1]});
        break;
      }
      default:
        values.push_back(
            graph.add(Range::micro_step, OpId::add, Parameters(abi::Add{}), {any(values), any(values)})[0]);
    }
  }

  void micro_step(ValueId x) {
    ReverseMode backward(graph, Range::micro_step);
    for (const Parameter& p : parameters_) backward.add_up(p.value, DType::f32, p.name + ".gradient");
    const uint32_t first = uint32_t(graph.nodes().size());
    ValueId y = tagged(Kind::residual, 0)->add(Range::micro_step, OpId::add, Parameters(abi::Add{}), {x, x})[0];
    for (uint32_t layer = 0; layer < layers_; ++layer) {
      ValueIds values{y};
      for (uint32_t i = 0; i < 3 + random_() % 6; ++i) add_op(layer, values);
      y = tagged(Kind::branch, layer)
              ->add(Range::micro_step, OpId::add, Parameters(abi::Add{}),
                    {values.back(), gemm(y, parameters_[3 * layer + 1].value)})[0];
      graph.set_kind(y, Kind::residual);
    }
    graph.keep(y, "y");
    results.push_back("y");
    const uint32_t last = uint32_t(graph.nodes().size());
    backward.add(y, tagged(Kind::io, kNoLayer)->external("cotangent", kSquare));
    backward.run(first, last);
    for (Parameter& p : parameters_) p.gradient = backward.accumulator(p.value);
  }

  void update() {
    const ValueId scalars = tagged(Kind::io, kNoLayer)->external("scalars", {DType::u32, {abi::kStepScalarWords}});
    for (const Parameter& p : parameters_) {
      const TensorDesc desc = graph.desc(p.value);
      const ValueId m = tagged(Kind::state, p.layer, 0)->variable(p.name + ".m", desc);
      const ValueId v = tagged(Kind::state, p.layer, 1)->variable(p.name + ".v", {DType::bf16, desc.shape});
      inputs.insert(inputs.end(), {p.name + ".m", p.name + ".v"});
      results.insert(results.end(), {p.name + ".m", p.name + ".v"});
      abi::AdamW a{.beta1 = 0.9f,
                   .beta2 = 0.95f,
                   .one_minus_beta1 = 0.1f,
                   .one_minus_beta2 = 0.05f,
                   .epsilon = 1e-8f,
                   .segments = {.count = 2}};
      a.segments.begin[1] = uint32_t(desc.shape.count() / 8 - 1);
      a.segments.tensor[1] = 7;
      const Scope scope(graph, {Kind::other, p.layer});
      graph.add(Range::update, OpId::adamw, Parameters(a), {p.gradient, scalars, p.value, m, v});
    }
  }

  std::mt19937 random_;
  uint32_t layers_;
  std::vector<Parameter> parameters_;
};

MemoryPolicy random_policy(std::mt19937& random) {
  MemoryPolicy p;
  for (uint32_t layer = 0; layer < 6; ++layer) {
    p.recompute.push_back(EnumSet<Recompute>::of(uint32_t(random() % 64)));
    p.offload.push_back(test::offload_set(uint32_t(random() % 128)));
  }
  p.zero_copy = test::offload_set(uint32_t(random() % 128));
  p.prefetch_distance = uint32_t(random() % 4);
  p.update_distance = uint32_t(random() % 4);
  p.optimizer_chunk = random() % 3 * 100;
  return p;
}

using Bits = std::map<std::string, std::vector<std::byte>>;

// Released gradients are kept by no name.
bool is_kept(const MemoryPolicy& policy, const std::string& name) {
  return policy.release == Release::none || !name.ends_with(".gradient");
}

Bits run(const RandomStep& step, const MemoryPolicy& policy, uint32_t queues, uint32_t seed, int micro_steps = 2) {
  const auto backend = test::open_host(queues, seed);
  Compiled compiled = compile(apply(step.graph, policy, {}, backend->target()), backend->target());
  CHECK(compiled.memory.arena_bytes() >= compiled.memory.lower_bound);
  Session session(*backend, std::move(compiled.program));
  std::mt19937 random(7);
  for (const std::string& name : step.inputs) {
    std::vector<std::byte> bytes(session.desc(name).bytes());
    test::Tensor tensor(session.desc(name), bytes.data());
    const bool second = name.ends_with(".v");  // sums of squares: positive
    for (uint64_t i = 0; i < tensor.size(); ++i) {
      if (name == "scalars") tensor.set_bits(i, i < 4 ? abi::float_bits(0.25f) : i == 4 ? 0 : 11);
      else tensor.set(i, double(random() % 1000) / 1000 - (second ? 0 : 0.5));
    }
    session.write(name, bytes);
  }
  session.run(Range::begin);
  for (int k = 0; k < micro_steps; ++k) session.run(Range::micro_step);
  session.run(Range::update);
  Bits bits;
  for (const std::string& name : step.results) {
    if (!is_kept(policy, name)) continue;
    bits[name].resize(session.desc(name).bytes());
    session.read(name, bits[name]);
  }
  return bits;
}

size_t count(const Program& program, OpId op) {
  size_t n = 0;
  for (const auto& range : program.ranges)
    for (const Instruction& i : range)
      if (const auto* d = std::get_if<Dispatch>(&i.command)) n += d->op == op;
  return n;
}

template <typename C>
size_t count(const Program& program) {
  size_t n = 0;
  for (const auto& range : program.ranges)
    for (const Instruction& i : range) n += std::holds_alternative<C>(i.command);
  return n;
}

}  // namespace

TEST_CASE("passes: any policy on a random graph gives the bits of none, on one queue or several in any order") {
  std::mt19937 random(1);
  for (uint32_t seed = 0; seed < 40; ++seed) {
    const RandomStep step(seed);
    const Bits none = run(step, {}, 1, 0);
    for (uint32_t queues = 1; queues <= 3; ++queues) {
      INFO("seed ", seed, ", queues ", queues);
      const MemoryPolicy policy = random_policy(random);
      const Bits with = run(step, policy, queues, seed);
      for (const auto& [name, bits] : none) {
        INFO(name);
        CHECK(with.at(name) == bits);
      }
    }
  }
}

TEST_CASE("passes: recompute adds dispatches, offload copies in pairs, several queues signals in place of barriers") {
  const RandomStep step(3);
  const auto compiled = [&](const MemoryPolicy& policy, uint32_t queues) {
    const auto backend = test::open_host(queues, 0);
    return compile(apply(step.graph, policy, {}, backend->target()), backend->target());
  };
  const Compiled none = compiled({}, 1);
  CHECK(count<Copy>(none.program) == 0);
  const Compiled block = compiled(uniform_policy({Recompute::block}, {}), 1);
  CHECK(count(block.program, OpId::gemm) > count(none.program, OpId::gemm));

  const MemoryPolicy states = uniform_policy({}, {offload_of_state(0), offload_of_state(1)});
  const Compiled one = compiled(states, 1), three = compiled(states, 3);
  const size_t matrices = count(none.program, OpId::adamw) * 2 / 3;  // the third parameter of a layer is a vector
  CHECK(count<Copy>(one.program) == 2 * 2 * matrices);
  CHECK(count<Signal>(one.program) == 0);
  CHECK(count<Signal>(three.program) > 0);
  CHECK(count<Wait>(three.program) >= count<Signal>(three.program));
  CHECK(one.memory.arena_bytes() < none.memory.arena_bytes());
  CHECK(one.memory.host_bytes > none.memory.host_bytes);
  MemoryPolicy in_place = states;
  in_place.zero_copy = {offload_of_state(0), offload_of_state(1)};
  CHECK(count<Copy>(compiled(in_place, 1).program) == 0);
}

TEST_CASE("release: on a random graph, under any policy, it gives the bits of none, in any order of queues") {
  std::mt19937 random(2);
  for (uint32_t seed = 0; seed < 250; ++seed) {
    const RandomStep step(seed);
    const Bits none = run(step, {}, 1, 0, 1);
    for (uint32_t queues = 0; queues < 4; ++queues) {
      INFO("seed ", seed, ", queues ", queues);
      MemoryPolicy policy = queues == 0 ? MemoryPolicy{} : random_policy(random);
      policy.release = (seed + queues) % 2 == 0 ? Release::once : Release::twice;
      const Bits with = run(step, policy, std::max(queues, 1u), seed, 1);
      CHECK(with.size() < none.size());
      for (const auto& [name, bits] : with) {
        INFO(name);
        CHECK(none.at(name) == bits);
      }
    }
  }
}

TEST_CASE("release: check_hazards finds each wait that is taken out of a released step") {
  const RandomStep step(5);
  MemoryPolicy policy = uniform_policy({Recompute::block}, EnumSet<Offload>::of((1u << kOffloadCount) - 1));
  policy.release = Release::once;
  const auto backend = test::open_host(3, 0);
  const Program program = compile(apply(step.graph, policy, {}, backend->target()), backend->target()).program;
  check_hazards(program);
  const auto& micro_step = program.range(Range::micro_step);
  size_t waits = 0;
  for (size_t i = 0; i < micro_step.size(); ++i) {
    if (!std::holds_alternative<Wait>(micro_step[i].command)) continue;
    Program without = program;
    auto& instructions = without.ranges[size_t(Range::micro_step)];
    instructions.erase(instructions.begin() + ptrdiff_t(i));
    INFO("instruction ", i);
    CHECK_THROWS_AS(check_hazards(without), Error);
    ++waits;
  }
  CHECK(waits > 20);
}

TEST_CASE("release: an update in front of a read of its parameter is found") {
  for (const bool early : {false, true}) {
    Graph g;
    const ValueId x = g.variable("x", kSquare), p = g.variable("p", kSquare), m = g.variable("m", kSquare),
                  v = g.variable("v", kSquare), gradient = g.zeros(Range::begin, kSquare),
                  scalars = g.variable("scalars", {DType::u32, {abi::kStepScalarWords}});
    const auto product = [&] {
      g.add(Range::micro_step, OpId::gemm, Parameters(abi::Gemm{.form = abi::kGemmNt}), {x, p, {}, {}, {}});
    };
    abi::AdamW a{.segments = {.count = 1}};
    if (!early) product();
    g.add(Range::micro_step, OpId::adamw, Parameters(a), {gradient, scalars, p, m, v});
    if (early) product();
    if (early) CHECK_THROWS_WITH_AS(g.verify(), doctest::Contains("has overwritten"), Error);
    else CHECK_NOTHROW(g.verify());
  }
}
