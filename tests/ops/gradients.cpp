// Every vjp against central differences of the references, both in f64: L = sum over the outputs of weight * output.
#include <map>

#include "core/abi/add.h"
#include "core/abi/amax.h"
#include "core/abi/attention.h"
#include "core/abi/cross_entropy.h"
#include "core/abi/embedding.h"
#include "core/abi/gemm.h"
#include "core/abi/head_rms_norm.h"
#include "core/abi/lora_expand.h"
#include "core/abi/quantize.h"
#include "core/abi/rms_norm.h"
#include "core/abi/rope.h"
#include "core/abi/swiglu.h"
#include "core/graph/backward.h"
#include "tests/support/evaluate.h"
#include "tests/support/op_case.h"

namespace tandem::test {
namespace {

constexpr Range kRange = Range::micro_step;
constexpr DType kF32 = DType::f32;
constexpr double kStep = 1e-4;

Buffer zero_buffer(const TensorDesc& desc) {
  Buffer b = make_buffer(desc);
  std::fill(b.bytes.begin(), b.bytes.end(), std::byte{0});
  return b;
}

// A graph, the contents of its variables, and an interpreter that keeps every f32 as f64.
class Tape {
 public:
  Graph graph;

  ValueId leaf(DType dtype, Shape shape, const Filler& fill) {
    const ValueId v = graph.variable(fmt::format("v{}", leaves_.size()), {dtype, std::move(shape)});
    Buffer b = make_buffer(graph.desc(v), true);
    Tensor t = b.view();
    fill(t, random_);
    leaves_.emplace(v.index, std::move(b));
    return v;
  }
  // a transient that a gradient can flow into: 0 + leaf
  ValueId activation(Shape shape, double scale = 1, DType dtype = kF32) {
    const ValueId x = leaf(dtype, shape, normal(scale)), zero = leaf(dtype, shape, zeros());
    const ValueId sum = op(OpId::add, abi::Add{}, {x, zero})[0];
    activations_.emplace_back(x, sum);
    return sum;
  }
  ValueId parameter(Shape shape, double mean = 0) {
    const ValueId w = leaf(kF32, shape, normal(0.5, mean));
    parameters_.push_back(w);
    return w;
  }
  template <typename P>
  ValueIds op(OpId id, const P& p, ValueIds inputs) {
    return graph.add(kRange, id, Parameters(p), std::move(inputs));
  }

  // runs the first `count` nodes
  void run(size_t count) {
    values_.clear();
    for (size_t n = 0; n < count; ++n) {
      const Node& node = graph.nodes()[n];
      std::vector<Tensor> inputs;
      for (ValueId v : node.inputs) inputs.push_back(v.present() ? view(v) : Tensor());
      if (!node.has_kernel()) {  // the amax slots: a slice of zeros is zeros
        values_.emplace(node.outputs[0].index, zero_buffer(graph.desc(node.outputs[0])));
        continue;
      }
      std::vector<Buffer> outputs = evaluate(node.op, node.parameters, inputs, true);
      for (size_t i = 0; i < outputs.size(); ++i)
        if (node.outputs[i].present()) values_.emplace(node.outputs[i].index, std::move(outputs[i]));
    }
  }
  Tensor view(ValueId v) {
    const auto leaf = leaves_.find(v.index);
    return leaf != leaves_.end() ? leaf->second.view() : values_.at(v.index).view();
  }

  void check(ValueIds outputs) {
    const size_t forward = graph.nodes().size();
    std::vector<std::pair<ValueId, ValueId>> weights;  // output, its weight in L, which is its cotangent
    ReverseMode backward(graph, kRange);
    for (ValueId y : outputs) {
      weights.emplace_back(y, leaf(kF32, graph.desc(y).shape, normal()));
      backward.add(y, weights.back().second);
    }
    std::vector<Buffer> before;
    for (ValueId w : parameters_) {
      const ValueId g = leaf(kF32, graph.desc(w).shape, normal());
      before.push_back(copy_of(view(g)));
      backward.set_accumulator(w, g);
    }
    backward.run(0, uint32_t(forward));
    graph.verify();
    run(graph.nodes().size());

    std::vector<std::pair<ValueId, std::vector<double>>> gradients;
    for (const auto& [x, sum] : activations_) {
      REQUIRE(backward.cotangent(sum).present());
      const Tensor d = view(backward.cotangent(sum));
      gradients.emplace_back(x, std::vector<double>());
      for (uint64_t i = 0; i < d.size(); ++i) gradients.back().second.push_back(d.get(i));
    }
    for (size_t p = 0; p < parameters_.size(); ++p) {
      const Tensor g = view(backward.accumulator(parameters_[p]));
      gradients.emplace_back(parameters_[p], std::vector<double>());
      for (uint64_t i = 0; i < g.size(); ++i) gradients.back().second.push_back(g.get(i) - before[p].view().get(i));
    }
    for (const auto& [leaf, gradient] : gradients) compare(leaf, gradient, forward, weights);
  }

 private:
  double loss(size_t forward, const std::vector<std::pair<ValueId, ValueId>>& weights) {
    run(forward);
    double sum = 0;
    for (const auto& [y, weight] : weights)
      for (uint64_t i = 0; i < view(y).size(); ++i) sum += view(y).get(i) * view(weight).get(i);
    return sum;
  }

  void compare(ValueId leaf, const std::vector<double>& gradient, size_t forward,
               const std::vector<std::pair<ValueId, ValueId>>& weights) {
    Tensor x = view(leaf);
    CAPTURE(graph.values()[leaf.index].name);
    for (uint64_t i = 0; i < x.size(); i += x.size() / 60 + 1) {
      const double value = x.get(i);
      x.set(i, value + kStep);
      const double above = loss(forward, weights);
      x.set(i, value - kStep);
      const double below = loss(forward, weights);
      x.set(i, value);
      CAPTURE(i);
      CHECK(gradient[i] == doctest::Approx((above - below) / (2 * kStep)).epsilon(1e-5));
    }
  }

  std::map<uint32_t, Buffer> leaves_, values_;
  std::vector<std::pair<ValueId, ValueId>> activations_;
  ValueIds parameters_;
  Random random_{"gradients"};
};

abi::Gemm linear() {
  return abi::Gemm{};
}

abi::RmsNorm norm() {
  abi::RmsNorm p{};
  p.epsilon = 1e-5f;
  return p;
}

void rope_table(Tensor& t, Random&) {
  for (uint64_t i = 0; i < t.size() / 2; ++i) {
    t.set(2 * i, std::cos(0.7 * double(i)));
    t.set(2 * i + 1, std::sin(0.7 * double(i)));
  }
}

}  // namespace

TEST_CASE("gradient: gemm with a bias on host") {
  Tape t;
  const ValueId x = t.activation({5, 8}), w = t.parameter({16, 8}), bias = t.parameter({16});
  t.check(t.op(OpId::gemm, linear(), {x, w, bias, {}, {}}));
}

// y = x W^T + bias + scale * (x A^T) B^T, with adapters on the first and the last columns: x gets the gradient of both
// products, the second accumulated onto the first.
TEST_CASE("gradient: a linear with an adapter on host") {
  Tape t;
  const ValueId x = t.activation({5, 8}), w = t.parameter({32, 8}), bias = t.parameter({32});
  const ValueId a = t.parameter({16, 8}), b = t.parameter({24, 8});
  const ValueId adapted = t.op(OpId::gemm, linear(), {x, a, {}, {}, {}})[0];
  const abi::LoraExpand p{.rank = 8, .ldc = 32, .scale = 0.75f, .parts = {2, {0, 24}, {16, 8}}};
  const ValueId c = t.op(OpId::lora_expand, p, {adapted, b})[0];
  abi::Gemm onto = linear();
  onto.accumulate = 1;
  const size_t before = t.graph.nodes().size();
  t.check(t.op(OpId::gemm, onto, {x, w, bias, {}, {}, c}));
  const auto& nodes = t.graph.nodes();
  CHECK(std::count_if(nodes.begin() + ptrdiff_t(before), nodes.end(),
                      [](const Node& n) { return n.op == OpId::add; }) == 0);
}

// A frozen parameter has no gradient, and the backward pass ends below the lowest one that trains.
TEST_CASE("gradient: nothing is made for what is frozen on host") {
  Graph graph;
  const auto leaf = [&](Shape shape) {
    return graph.variable(fmt::format("v{}", graph.values().size()), {kF32, shape});
  };
  const ValueId table = leaf({16, 8}), low = leaf({8, 8}), high = leaf({8, 8}), g = leaf({8, 8});
  const ValueId tokens = graph.variable("tokens", {DType::i32, {4}});
  const ValueId x = graph.add(kRange, OpId::embedding, Parameters(abi::Embedding{}), {tokens, table})[0];
  const ValueId y = graph.add(kRange, OpId::gemm, Parameters(linear()), {x, low, {}, {}, {}})[0];
  const ValueId z = graph.add(kRange, OpId::gemm, Parameters(linear()), {y, high, {}, {}, {}})[0];
  ReverseMode backward(graph, kRange);
  for (const ValueId v : {table, low, tokens}) backward.freeze(v);
  backward.set_accumulator(high, g);
  backward.add(z, leaf({4, 8}));
  const uint32_t forward = uint32_t(graph.nodes().size());
  backward.run(0, forward);
  CHECK(graph.nodes().size() == forward + 1);  // the gradient of high
  CHECK_FALSE(backward.cotangent(y).present());
}

TEST_CASE("gradient: gemm whose rows are padded on host") {
  Tape t;
  abi::Gemm p = linear();
  p.ldc = 16;
  const ValueId x = t.activation({5, 8}), w = t.parameter({11, 8});
  const ValueId logits = t.op(OpId::gemm, p, {x, w, {}, {}, {}})[0];
  const ValueId targets = t.leaf(DType::i32, {5}, integers(0, 11));
  const ValueId scalars = t.leaf(DType::u32, {16}, words({0, abi::float_bits(0.2f)}));
  // only the true columns reach the loss; cross_entropy with its gradient is a case of its own
  const auto out = t.op(OpId::cross_entropy, abi::CrossEntropy{0, 11, 0, 1, 0}, {targets, scalars, logits});
  ReverseMode backward(t.graph, kRange);
  const ValueId g = t.leaf(kF32, {11, 8}, zeros());
  backward.set_accumulator(w, g);
  backward.add(logits, out[0]);
  const size_t forward = t.graph.nodes().size();
  backward.run(0, uint32_t(forward));
  t.run(t.graph.nodes().size());
  const Tensor dw = t.view(backward.accumulator(w));
  std::vector<double> gradient;
  for (uint64_t i = 0; i < dw.size(); ++i) gradient.push_back(dw.get(i));
  const auto loss = [&] {
    t.run(forward);
    double sum = 0;
    for (uint64_t r = 0; r < 5; ++r) sum += t.view(out[1]).get(r) * double(0.2f);
    return sum;
  };
  Tensor weights = t.view(w);
  for (uint64_t i = 0; i < weights.size(); ++i) {
    const double value = weights.get(i);
    weights.set(i, value + kStep);
    const double above = loss();
    weights.set(i, value - kStep);
    const double below = loss();
    weights.set(i, value);
    CHECK(gradient[i] == doctest::Approx((above - below) / (2 * kStep)).epsilon(1e-5));
  }
}

TEST_CASE("gradient: cross_entropy writes that of loss + z_loss * lse^2 on host") {
  const double z_loss = 0.125;
  std::vector<double> values(16);
  for (uint64_t i = 0; i < 16; ++i) values[i] = std::sin(double(i) * 1.7);
  Buffer targets = buffer_of(DType::i32, {1}, {4}), scalars = make_buffer({DType::u32, {16}});
  scalars.view().set_bits(1, abi::float_bits(0.25f));
  Buffer logits = make_buffer({kF32, {1, 16}}, true);
  const auto total = [&](uint64_t moved, double by) {
    for (uint64_t i = 0; i < 16; ++i) logits.view().set(i, values[i] + (i == moved ? by : 0));
    auto out = evaluate(OpId::cross_entropy, Parameters(abi::CrossEntropy{0, 13, 0, 0, 0}),
                        {targets.view(), scalars.view(), logits.view()}, true);
    const double loss = out[1].view().get(0), lse = loss + logits.view().get(4);
    return 0.25 * (loss + z_loss * lse * lse);
  };
  for (uint64_t i = 0; i < 16; ++i) {
    const double wanted = (total(i, kStep) - total(i, -kStep)) / (2 * kStep);
    total(16, 0);
    auto out = evaluate(OpId::cross_entropy, Parameters(abi::CrossEntropy{0, 13, 0, 1, float(z_loss)}),
                        {targets.view(), scalars.view(), logits.view()}, true);
    CHECK(out[0].view().get(i) == doctest::Approx(wanted).epsilon(1e-5));
  }
}

TEST_CASE("gradient: embedding on host") {
  Tape t;
  const ValueId tokens = t.leaf(DType::i32, {6}, words({3, 0, 3, 1, 3, 0})), table = t.parameter({5, 8});
  t.check(t.op(OpId::embedding, abi::Embedding{}, {tokens, table}));
}

TEST_CASE("gradient: rms_norm on host") {
  Tape t;
  const ValueId x = t.activation({3, 8}), w = t.parameter({8}, 1);
  t.check({t.op(OpId::rms_norm, norm(), {x, {}, w})[1]});
}

TEST_CASE("gradient: rms_norm of a sum, both outputs used, on host") {
  Tape t;
  const ValueId x = t.activation({3, 8}), delta = t.activation({3, 8}), w = t.parameter({8}, 1);
  const auto out = t.op(OpId::rms_norm, norm(), {x, delta, w});
  t.check({out[0], out[1]});
}

TEST_CASE("gradient: rms_norm of a sum, the sum alone used, on host") {
  Tape t;
  const ValueId x = t.activation({3, 8}), delta = t.activation({3, 8}), w = t.parameter({8}, 1);
  t.check({t.op(OpId::rms_norm, norm(), {x, delta, w})[0]});
}

TEST_CASE("gradient: head_rms_norm on host") {
  Tape t;
  const ValueId x = t.activation({3, 8 * 8}), q = t.parameter({8}, 1), k = t.parameter({8}, 1);
  t.check({t.op(OpId::head_rms_norm, abi::HeadRmsNorm{0, 4, 2, 8, 1e-5f}, {x, q, k})[0]});
}

TEST_CASE("gradient: rope on host") {
  for (uint32_t inverse : {0, 1}) {
    Tape t;
    const ValueId x = t.activation({5, 8 * 8}), where = t.leaf(DType::i32, {5}, positions(5, {3}));
    const ValueId table = t.leaf(kF32, {5, 4, 2}, rope_table);
    t.check(t.op(OpId::rope, abi::Rope{0, 4, 2, 8, 0, inverse}, {where, table, x}));
  }
}

TEST_CASE("gradient: attention with grouped heads and documents on host") {
  for (auto [q_heads, kv_heads] : {std::pair<uint32_t, uint32_t>{1, 1}, {4, 2}, {3, 3}}) {
    Tape t;
    const ValueId x = t.activation({12, uint64_t(q_heads + 2 * kv_heads) * 8});
    const ValueId where = t.leaf(DType::i32, {12}, positions(6, {2, 9}));
    t.check({t.op(OpId::attention, abi::Attention{0, 6, q_heads, kv_heads, 8, 0.3f}, {x, where})[0]});
  }
}

TEST_CASE("gradient: swiglu on host") {
  Tape t;
  const ValueId x = t.activation({3, 32}, 2);
  t.check({t.op(OpId::swiglu, abi::Swiglu{}, {x})[0]});
}

TEST_CASE("gradient: add, a value used twice, on host") {
  Tape t;
  const ValueId x = t.activation({3, 8}), y = t.activation({3, 8});
  const ValueId sum = t.op(OpId::add, abi::Add{}, {x, y})[0];
  t.check(t.op(OpId::add, abi::Add{}, {sum, x}));
}

TEST_CASE("gradient: a decoder layer on host") {
  Tape t;
  const ValueId x = t.activation({8, 16}), where = t.leaf(DType::i32, {8}, positions(4, {6}));
  const ValueId table = t.leaf(kF32, {4, 4, 2}, rope_table);
  const ValueId n1 = t.op(OpId::rms_norm, norm(), {x, {}, t.parameter({16}, 1)})[1];
  ValueId qkv = t.op(OpId::gemm, linear(), {n1, t.parameter({32, 16}), t.parameter({32}), {}, {}})[0];
  qkv = t.op(OpId::head_rms_norm, abi::HeadRmsNorm{0, 2, 1, 8, 1e-5f},
             {qkv, t.parameter({8}, 1), t.parameter({8}, 1)})[0];
  qkv = t.op(OpId::rope, abi::Rope{0, 2, 1, 8, 0, 0}, {where, table, qkv})[0];
  const ValueId heads = t.op(OpId::attention, abi::Attention{0, 4, 2, 1, 8, 0.35f}, {qkv, where})[0];
  const ValueId delta = t.op(OpId::gemm, linear(), {heads, t.parameter({16, 16}), {}, {}, {}})[0];
  const auto n2 = t.op(OpId::rms_norm, norm(), {x, delta, t.parameter({16}, 1)});
  const ValueId up = t.op(OpId::gemm, linear(), {n2[1], t.parameter({48, 16}), {}, {}, {}})[0];
  const ValueId product = t.op(OpId::swiglu, abi::Swiglu{}, {up})[0];
  const ValueId down = t.op(OpId::gemm, linear(), {product, t.parameter({16, 24}), {}, {}, {}})[0];
  t.check(t.op(OpId::add, abi::Add{}, {n2[0], down}));
}

namespace {

// e4m3 copies of x as the model makes them
ValueIds quantized(Tape& t, ValueId x) {
  const ValueId slot = t.graph.zeros(kRange, {DType::u32, {64}});
  const ValueId amax = t.op(OpId::amax, abi::Amax{}, {x, slot})[0];
  return t.op(OpId::quantize, abi::Quantize{0, 0, 1, 1}, {x, amax});
}

// sum over k of a[i][k] b[k][j], by strides: a (i, k) at i * ai + k * ak
double nmse_of_product(const Tensor& c, const Tensor& a, uint64_t ai, uint64_t ak, const Tensor& b, uint64_t bk,
                       uint64_t bj, uint64_t count) {
  double error = 0, square = 0;
  const uint64_t columns = c.desc().shape[1];
  for (uint64_t i = 0; i < c.size(); ++i) {
    double sum = 0;
    for (uint64_t k = 0; k < count; ++k) sum += a.get(i / columns * ai + k * ak) * b.get(k * bk + i % columns * bj);
    error += (c.get(i) - sum) * (c.get(i) - sum);
    square += sum * sum;
  }
  return error / square;
}

}  // namespace

// No differences here, codes are steps: forward, dgrad and wgrad must be the exact products but for the rounding to 4
// bits
TEST_CASE("gradient: gemm of e4m3 codes stays near the product of its values on host") {
  constexpr uint64_t kTokens = 32, kIn = 48, kOut = 64;
  Tape t;
  const ValueId x = t.activation({kTokens, kIn}, 1, DType::bf16), w = t.leaf(DType::bf16, {kOut, kIn}, normal(0.02));
  const auto xq = quantized(t, x), wq = quantized(t, w);
  const ValueId y = t.op(OpId::gemm, linear(), {xq[0], wq[0], {}, xq[2], wq[2]})[0];
  t.graph.node(uint32_t(t.graph.nodes().size() - 1)).saved = {xq[1], wq[1]};
  const ValueId dy = t.leaf(DType::bf16, {kTokens, kOut}, normal(1e-4)), g = t.leaf(kF32, {kOut, kIn}, zeros());
  Quantizer quantizer(t.graph, kRange, 1, "amax");
  ReverseMode backward(t.graph, kRange, &quantizer);
  backward.stands_for(wq[0], w);
  backward.set_accumulator(w, g);
  backward.add(y, dy);
  backward.run(0, uint32_t(t.graph.nodes().size()));
  t.graph.verify();
  t.run(t.graph.nodes().size());
  REQUIRE(backward.cotangent(x).present());
  const double kRounding = 3e-3;  // e4m3 keeps 4 significant bits: a mean square error near 7e-4 for each operand
  CHECK(t.graph.desc(y).dtype == DType::bf16);
  CHECK(nmse_of_product(t.view(y), t.view(x), kIn, 1, t.view(w), 1, kIn, kIn) < kRounding);
  CHECK(nmse_of_product(t.view(backward.cotangent(x)), t.view(dy), kOut, 1, t.view(w), kIn, 1, kOut) < kRounding);
  CHECK(nmse_of_product(t.view(backward.accumulator(w)), t.view(dy), 1, kOut, t.view(x), kIn, 1, kTokens) < kRounding);
}

}  // namespace tandem::test
