#include "core/graph/graph.h"

#include <doctest/doctest.h>

#include <algorithm>

#include "core/abi/add.h"
#include "core/abi/gemm.h"
#include "core/abi/loss_sum.h"
#include "core/abi/swiglu.h"
#include "core/abi/swiglu_quantize.h"
#include "core/graph/backward.h"

using namespace tandem;

namespace {

ValueId add(Graph& g, ValueId a, ValueId b) {
  return g.add(Range::micro_step, OpId::add, Parameters(abi::Add{}), {a, b})[0];
}

}  // namespace

TEST_CASE("graph: the dump names variables, ops, shapes and ranges") {
  Graph g;
  const ValueId x = g.variable("x", {DType::f32, {8}});
  add(g, x, x);
  CHECK(g.dump() == "%0 = variable x: f32 (8)\nmicro_step %1 = add(%0, %0) f32 (8)\n");
}

TEST_CASE("graph: shapes that do not fit are refused by the op's infer") {
  Graph g;
  const ValueId x = g.variable("x", {DType::f32, {8}}), y = g.variable("y", {DType::f32, {16}});
  CHECK_THROWS_AS(add(g, x, y), Error);
  CHECK_THROWS_AS(g.slice(Range::update, x, 4, 8), Error);
}

TEST_CASE("backward: cotangents of a value with two uses are summed") {
  Graph g;
  const ValueId x = g.zeros(Range::micro_step, {DType::f32, {8}});
  const uint32_t first = uint32_t(g.nodes().size());
  const ValueId twice = add(g, x, x), y = add(g, twice, x);
  const uint32_t last = uint32_t(g.nodes().size());
  ReverseMode backward(g, Range::micro_step);
  const ValueId seed = g.zeros(Range::micro_step, {DType::f32, {8}});
  backward.add(y, seed);
  backward.run(first, last);
  CHECK(backward.cotangent(twice) == seed);
  CHECK(g.nodes().size() == last + 3);  // the seed and two sums: three uses of x
  CHECK(backward.cotangent(x).present());
}

TEST_CASE("backward: a product accumulates onto a cotangent of the range's own, and overwrites no other") {
  const auto accumulating = [](const auto& seed_of) {
    Graph g;
    const TensorDesc square{DType::f32, {8, 8}};
    const auto product = [&](ValueId x, ValueId w) {
      return g.add(Range::micro_step, OpId::gemm, Parameters(abi::Gemm{.form = abi::kGemmNt}), {x, w, {}, {}, {}})[0];
    };
    const ValueId w = g.variable("w", square), x = g.zeros(Range::micro_step, square);
    const uint32_t first = uint32_t(g.nodes().size());
    const ValueId y = add(g, x, product(product(x, w), w));
    const uint32_t last = uint32_t(g.nodes().size());
    ReverseMode backward(g, Range::micro_step);
    backward.add(y, seed_of(g, square));
    backward.run(first, last);
    g.verify();
    return std::ranges::count_if(g.nodes(), [](const Node& n) {
      return n.op == OpId::gemm && n.has_kernel() && n.parameters.template as<abi::Gemm>().accumulate == 1;
    });
  };
  using Desc = const TensorDesc&;
  CHECK(accumulating([](Graph& g, Desc desc) { return g.zeros(Range::micro_step, desc); }) == 1);
  CHECK(accumulating([](Graph& g, Desc desc) { return g.external("seed", desc); }) == 0);
  CHECK(accumulating([](Graph& g, Desc desc) { return g.variable("seed", desc); }) == 0);
  CHECK(accumulating([](Graph& g, Desc desc) {
          const Scope scope(g, {.when = When::first});
          return g.zeros(Range::micro_step, desc);
        }) == 0);
  CHECK(accumulating([](Graph& g, Desc desc) {
          return g.slice(Range::micro_step, g.external("seeds", {desc.dtype, {16, 8}}), 8, 8);
        }) == 0);
  CHECK(accumulating([](Graph& g, Desc desc) { return g.zeros_onto(Range::micro_step, g.variable("seed", desc)); }) ==
        0);
  CHECK(accumulating([](Graph& g, Desc desc) { return g.zeros(Range::begin, desc); }) == 0);
  CHECK(accumulating([](Graph& g, Desc desc) {
          const ValueId seed = g.zeros(Range::micro_step, desc);
          g.keep(seed, "seed");
          return seed;
        }) == 0);
}

TEST_CASE(
    "graph: nodes and values carry the tag of the scope they are made in, outputs in place the kind of what they "
    "overwrite") {
  Graph g;
  const Scope outer(g, {Kind::swiglu, 3});
  const ValueId losses = g.variable("losses", {DType::f32, {8}});
  const auto zeros = [&] {
    const Scope inner(g, {Kind::gradient, 3});
    return g.zeros(Range::micro_step, {DType::f32, {1}});
  };
  const ValueId sum = zeros();
  CHECK(g.tag().kind == Kind::swiglu);
  const Scope backward(g, {Kind::cotangent, 4, Phase::backward});
  const ValueId added = g.add(Range::micro_step, OpId::loss_sum, Parameters(abi::LossSum{}), {losses, sum})[0];
  CHECK(g.values()[losses.index].kind == Kind::swiglu);
  CHECK(g.values()[added.index].kind == Kind::gradient);
  CHECK(g.values()[added.index].layer == 4);
  CHECK(g.nodes().back().tag.kind == Kind::cotangent);
  CHECK(g.nodes().back().tag.phase == Phase::backward);
  CHECK(name_of(Kind::cotangent) == "cotangent");
}

// y of an e4m3 GEMM goes through SwiGLU, and with further_use also into a sum before or behind it
enum class FurtherUse { none, before, behind };

static void check_amax_passes(FurtherUse use, uint32_t passes) {
  CAPTURE(int(use));
  Graph g;
  const Range range = Range::micro_step;
  Quantizer quantizer(g, range, 4, "amax");
  const Quantized x = quantizer.quantize(g.zeros(range, {DType::bf16, {16, 16}}), {}, true, "x");
  const Quantized w = quantizer.quantize(g.variable("w", {DType::bf16, {32, 16}}), {}, true, "w");
  const abi::Gemm gemm{.form = abi::kGemmNt};
  const uint32_t first = uint32_t(g.nodes().size());
  const ValueId y = g.add(range, OpId::gemm, Parameters(gemm), {x.q, w.q, {}, x.scale, w.scale})[0];
  g.node(first).saved = {x.qt, w.qt};
  ValueId sum;
  if (use == FurtherUse::before) sum = add(g, y, y);
  const ValueId product = g.add(range, OpId::swiglu, Parameters(abi::Swiglu{}), {y})[0];
  if (use == FurtherUse::behind) sum = add(g, y, y);
  const uint32_t last = uint32_t(g.nodes().size());
  ReverseMode backward(g, range, &quantizer);
  backward.add(product, g.zeros(range, g.desc(product)));
  if (sum.present()) backward.add(sum, g.zeros(range, g.desc(sum)));
  backward.run(first, last);
  g.verify();
  uint32_t counted = 0, quantized = 0;
  for (uint32_t n = last; n < g.nodes().size(); ++n) {
    const Node& node = g.nodes()[n];
    counted += node.op == OpId::amax;
    if (node.op != OpId::quantize) continue;
    ++quantized;
    CHECK(node.inputs[0] == backward.cotangent(y));
    const Value& amax = g.values()[node.inputs[1].index];  // the same tensor's: by its producer, or by a pass over it
    const Node& taken = g.nodes()[amax.node];
    if (taken.op == OpId::amax) CHECK(taken.inputs[0] == node.inputs[0]);
    else CHECK(taken.outputs[0] == node.inputs[0]);
  }
  CHECK(quantized == 1);
  CHECK(counted == passes);
}

TEST_CASE("backward: a cotangent is quantized by its producer's amax, a sum of cotangents by a pass of its own") {
  check_amax_passes(FurtherUse::none, 0);
  check_amax_passes(FurtherUse::before, 1);
  check_amax_passes(FurtherUse::behind, 1);
}

// y of an e4m3 GEMM goes through SwiGLU, quantized in one pass: is its gradient quantized in one pass too?
static void check_gradient_codes(bool has_bias, bool expected) {
  CAPTURE(has_bias);
  Graph g;
  const Range range = Range::micro_step;
  Quantizer quantizer(g, range, 6, "amax", g.zeros(range, {DType::u32, {2}}));
  const Quantized x = quantizer.quantize(g.zeros(range, {DType::bf16, {16, 16}}), {}, true, "x");
  const Quantized w = quantizer.quantize(g.variable("w", {DType::bf16, {32, 16}}), {}, true, "w");
  const ValueId bias = has_bias ? g.variable("bias", {DType::bf16, {32}}) : ValueId{};
  const abi::Gemm gemm{.form = abi::kGemmNt};
  const uint32_t first = uint32_t(g.nodes().size());
  const ValueId y = g.add(range, OpId::gemm, Parameters(gemm), {x.q, w.q, bias, x.scale, w.scale})[0];
  g.node(first).saved = {x.qt, w.qt};
  const abi::SwigluQuantize p{.has_q = 1, .has_qt = 1};
  const Quantized product = quantizer.quantize_result(OpId::swiglu_quantize, guess_and_check(p), {y}, "swiglu");
  const uint32_t last = uint32_t(g.nodes().size());
  ReverseMode backward(g, range, &quantizer);
  backward.set_accumulator(w.q, g.zeros(range, {DType::bf16, {32, 16}}));
  backward.add(product.q, g.zeros(range, {DType::bf16, {16, 16}}));
  backward.run(first, last);
  g.verify();
  uint32_t fused = 0, unfused = 0;
  for (uint32_t n = last; n < g.nodes().size(); ++n) {
    fused += g.nodes()[n].op == OpId::swiglu_backward_quantize;
    unfused += g.nodes()[n].op == OpId::swiglu_backward;
  }
  CHECK(fused == (expected ? 2 : 0));  // the guess and its check
  CHECK(unfused == (expected ? 0 : 1));
  CHECK(g.desc(backward.cotangent(y)).dtype == (expected ? DType::e4m3 : DType::bf16));
}

TEST_CASE("backward: a cotangent exists as codes alone where only products read it; a bias reads bf16") {
  check_gradient_codes(false, true);
  check_gradient_codes(true, false);
}
