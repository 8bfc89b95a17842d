// What the memory passes do to the graph of a model's step: which nodes they add, and what is then alive.
#include <doctest/doctest.h>

#include <map>
#include <set>

#include "core/abi/rms_norm.h"
#include "core/abi/swiglu_quantize.h"
#include "core/plan/fit.h"

using namespace tandem;

namespace {

ModelConfig small_model() {
  ModelConfig c;
  c.family = Family::qwen3;
  c.vocabulary = 256;
  c.hidden = 64;
  c.ffn = 96;
  c.layers = 3;
  c.q_heads = 4;
  c.kv_heads = 2;
  c.head_dim = 16;
  c.max_positions = 64;
  return c;
}

Target target(uint32_t queues = 1) {
  Target t;
  t.name = "test";
  t.queues = queues_of(queues);
  t.largest_arena = t.largest_operand = t.largest_chunk = t.memory_bytes = 1 << 30;
  return t;
}

Compiled compiled(const MemoryPolicy& policy, Recipe recipe = Recipe::fp8, const Target& t = target()) {
  const StepShape shape{.micro_batch = 4, .accumulation = 2, .sequence_length = 64};
  return compile_step({small_model(), {.recipe = recipe}, {}, shape}, policy, t);
}

MemoryPolicy recompute_of(EnumSet<Recompute> set) {
  return uniform_policy(set, {});
}

template <typename Keep>
size_t count(const Compiled& c, Range range, const Keep& keep) {
  size_t n = 0;
  for (const Node& node : c.graph.nodes()) n += node.range == range && keep(node);
  return n;
}

size_t count(const Compiled& c, OpId op, Range range = Range::micro_step) {
  return count(c, range, [&](const Node& node) { return node.op == op; });
}

size_t recomputed(const Compiled& c, OpId op) {
  return count(c, Range::micro_step,
               [&](const Node& node) { return node.op == op && node.tag.phase == Phase::recompute; });
}

const Root& root_of(const Compiled& c, ValueId v) {
  return c.storage.roots[c.storage.root_of[c.storage.places[v.index].root]];
}

// position of each node among those of its range, as live ranges count
std::vector<uint32_t> positions(const Graph& graph) {
  std::array<uint32_t, kRangeCount> next{};
  std::vector<uint32_t> at;
  for (const Node& node : graph.nodes()) at.push_back(next[size_t(node.range)]++);
  return at;
}

// no clone is made while the forward pass's own value still holds its bytes
void check_nothing_live_twice(const Compiled& c) {
  const std::vector<uint32_t> at = positions(c.graph);
  std::map<std::tuple<OpId, std::string, uint32_t>, ValueId> forward;
  for (uint32_t n = 0; n < c.graph.nodes().size(); ++n) {
    const Node& node = c.graph.nodes()[n];
    if (node.range != Range::micro_step || !node.has_kernel()) continue;
    for (uint32_t i = 0; i < node.outputs.size(); ++i) {
      const std::tuple key{node.op, node.label, i};
      if (!node.outputs[i].present()) continue;
      if (node.tag.phase == Phase::forward) forward[key] = node.outputs[i];
      if (node.tag.phase != Phase::recompute || !forward.contains(key)) continue;
      INFO(name_of(node.op), " ", node.label, " output ", i);
      CHECK(root_of(c, forward.at(key)).live.last < at[n]);
    }
  }
}

}  // namespace

TEST_CASE("recompute: each part clones its own nodes once a layer, and forward amax is reused") {
  const Compiled none = compiled({});
  CHECK(count(none, Range::micro_step, [](const Node& n) { return n.tag.phase == Phase::recompute; }) == 0);
  struct Expected {
    Recompute part;
    size_t norms, gemms, attentions, swiglus;  // a layer
  };
  for (const Expected& e : {Expected{Recompute::norm, 2, 0, 0, 0},
                            {Recompute::swiglu, 0, 0, 0, 1},
                            {Recompute::ffn, 1, 1, 0, 1},
                            {Recompute::qkv, 1, 1, 0, 0},
                            {Recompute::attention, 0, 0, 1, 0},
                            {Recompute::block, 2, 3, 1, 1}}) {
    const Compiled c = compiled(recompute_of({e.part}));
    INFO(to_string(EnumSet<Recompute>{e.part}));
    CHECK(recomputed(c, OpId::rms_norm) == 3 * e.norms);
    CHECK(recomputed(c, OpId::gemm) == 3 * e.gemms);
    CHECK(recomputed(c, OpId::attention) == 3 * e.attentions);
    CHECK(recomputed(c, OpId::swiglu_quantize) == 3 * e.swiglus);
    CHECK(count(c, OpId::amax) == count(none, OpId::amax));
    CHECK(count(c, Range::micro_step, [](const Node& n) {
            return n.op == OpId::rms_norm && n.tag.phase == Phase::recompute &&
                   n.parameters.as<abi::RmsNorm>().has_amax;
          }) == 0);
    CHECK(c.memory.arena_bytes() < none.memory.arena_bytes());
    check_nothing_live_twice(c);
  }
}

TEST_CASE("recompute: layers choose for themselves; forward nodes leave out what only clones make") {
  MemoryPolicy policy;
  policy.recompute = {{Recompute::swiglu}, {}, {Recompute::norm}};
  const Compiled c = compiled(policy);
  for (const Node& node : c.graph.nodes()) {
    if (node.range != Range::micro_step) continue;
    if (node.tag.phase == Phase::recompute) CHECK(node.tag.layer != 1);
    if (node.op != OpId::swiglu_quantize) continue;
    const bool dropped = node.tag.layer == 0, clone = node.tag.phase == Phase::recompute;
    const auto p = node.parameters.as<abi::SwigluQuantize>();
    CHECK(p.has_q == !clone);
    CHECK(p.has_qt == (clone || !dropped));
    CHECK((p.scale == abi::kScaleKnown) == clone);  // a clone need not guess
  }
}

TEST_CASE("fp8 copies: made in front of their first use in the first micro-step, and in front of an evaluation's") {
  const Compiled c = compiled({});
  CHECK(count(c, Range::begin, [](const Node& n) { return n.tag.layer != kNoLayer; }) == 0);
  for (const Range range : {Range::micro_step, Range::evaluate}) {
    std::set<uint32_t> used;  // layers whose products have begun
    size_t made = 0;
    for (const Node& node : c.graph.nodes()) {
      if (node.range != range || !node.has_kernel()) continue;
      INFO(name_of(range), " ", node.label);
      if (node.op == OpId::gemm && node.tag.phase == Phase::forward) used.insert(node.tag.layer);
      if (node.op != OpId::quantize || c.graph.values()[node.inputs[0].index].kind != Kind::parameter) continue;
      ++made;
      CHECK(node.tag.when == When::first);
      CHECK(node.outputs[1].present() == (range == Range::micro_step));
      CHECK(!used.contains(node.tag.layer + 1));
      CHECK((node.tag.layer == 0 || used.contains(node.tag.layer - 1)));
    }
    CHECK(made == 4 * 3);
  }
}

TEST_CASE("fp8 copies: remade in each pass over a layer, and the first micro-step takes amax alone") {
  MemoryPolicy policy;
  const Compiled kept = compiled(policy);
  policy.copies = {Copies::remade};
  const Compiled c = compiled(policy);
  const auto once = [&](OpId op, Range range) {
    return count(c, range, [&](const Node& n) {
      return n.op == op && n.tag.when == When::first && c.graph.values()[n.inputs[0].index].kind == Kind::parameter;
    });
  };
  CHECK(once(OpId::amax, Range::micro_step) == 4 * 3);
  CHECK(once(OpId::quantize, Range::micro_step) == 0);
  CHECK(count(c, OpId::quantize) == count(kept, OpId::quantize) + 4 * 3);
  CHECK(count(c, OpId::quantize, Range::evaluate) == count(kept, OpId::quantize, Range::evaluate));
  CHECK(c.memory.persistent_bytes < kept.memory.persistent_bytes);
}

TEST_CASE("fp8 copies: transposed where the backward pass reads them, made without their transposes") {
  MemoryPolicy policy;
  const Compiled kept = compiled(policy);
  policy.copies = {Copies::transposed};
  const Compiled c = compiled(policy);
  CHECK(count(kept, OpId::transpose) == 0);
  CHECK(count(c, OpId::quantize) == count(kept, OpId::quantize));
  CHECK(count(c, OpId::transpose, Range::micro_step) == 4 * 3);
  CHECK(count(c, OpId::transpose) == 4 * 3);
  CHECK(count(c, OpId::gemm) == count(kept, OpId::gemm));
  // a byte less per element of each linear
  uint64_t elements = 0;
  for (const Node& node : kept.graph.nodes())
    if (node.op == OpId::quantize && node.range == Range::evaluate && node.tag.when == When::first)
      elements += kept.graph.desc(node.inputs[0]).shape.count();
  CHECK(kept.memory.persistent_bytes - c.memory.persistent_bytes >= elements);
}

TEST_CASE("chunks: attention's backward pass over sequences, AdamW over elements") {
  MemoryPolicy policy;
  policy.attention_chunks = 3;  // 2 + 2 sequences: three parts would be 2, 1 and 1
  policy.optimizer_chunk = 1000;
  const Compiled none = compiled({}, Recipe::bf16), c = compiled(policy, Recipe::bf16);
  for (OpId op : {OpId::attention_delta, OpId::attention_backward_query, OpId::attention_backward_key_value})
    CHECK(count(c, op) == 2 * count(none, op));
  CHECK(count(c, OpId::adamw, Range::update) > 2 * count(none, OpId::adamw, Range::update));
  for (const Node& node : c.graph.nodes())
    if (node.op == OpId::adamw) CHECK(c.graph.desc(node.inputs[0]).shape.count() <= 1000);
}

TEST_CASE("offload: kinds and layers of a policy lie on the host, and every other one on the device") {
  MemoryPolicy policy;
  policy.offload = {{offload_of_state(0), Offload::parameters, Offload::copies}, {Offload::gradients}, {}};
  policy.offload_outside = {offload_of_state(1)};
  const Compiled c = compiled(policy);
  for (const Root& root : c.storage.roots) {
    const Value& value = c.graph.values()[root.value];
    if (value.lifetime != Lifetime::variable || value.desc.shape.rank() < 2 || value.kind == Kind::other) continue;
    const bool host = (value.layer == 0 && ((value.kind == Kind::state && value.state == 0) ||
                                            value.kind == Kind::parameter || value.kind == Kind::quantized)) ||
                      (value.layer == 1 && value.kind == Kind::gradient) ||
                      (value.layer == kNoLayer && value.kind == Kind::state && value.state == 1);
    INFO(value.name, " ", name_of(value.kind), " of layer ", value.layer);
    CHECK(root.host == host);
  }
}

TEST_CASE("gradients: the first micro-step makes their zeros and fetches none, the last one takes their squares") {
  const StepShape shape{.micro_batch = 4, .accumulation = 3, .sequence_length = 64};
  for (const bool offloaded : {false, true})
    for (const bool tied : {false, true}) {
      ModelConfig model = small_model();
      model.tied = tied;
      const MemoryPolicy policy = uniform_policy({}, offloaded ? EnumSet{Offload::gradients} : EnumSet<Offload>{});
      const Compiled c = compile_step({model, {.recipe = Recipe::fp8}, {}, shape}, policy, target(3));
      const size_t parameters = 3 * 8 + 2 + !tied, matrices = 3 * 4 + 1 + !tied;
      const auto of_gradients = [&](Form form, When when) {
        return count(c, Range::micro_step, [&](const Node& n) {
          return n.form == form && n.tag.when == when && c.graph.values()[n.outputs[0].index].kind == Kind::gradient;
        });
      };
      CHECK(of_gradients(Form::fill, When::first) == parameters);
      CHECK(count(c, Range::micro_step,
                  [](const Node& n) { return n.op == OpId::square_sum && n.tag.when == When::last; }) == parameters);
      CHECK(count(c, OpId::square_sum, Range::update) == 0);
      CHECK(of_gradients(Form::copy, When::later) == (offloaded ? matrices : 0));
      CHECK(of_gradients(Form::copy, When::first) == 0);
      // To the host, each; a tied embedding is fetched and left twice per micro-step: by the head and by itself.
      CHECK(of_gradients(Form::copy, When::each) == (offloaded ? matrices + 2 * tied : 0));
      CHECK(count(c, Range::begin, [](const Node& n) { return n.tag.kind == Kind::gradient; }) == 0);
    }
}

TEST_CASE("offload: what a copy makes is of its source's kind, layer and state") {
  const Compiled c = compiled(uniform_policy({}, {offload_of_state(0), offload_of_state(1), Offload::parameters}));
  size_t copies = 0;
  for (const Node& node : c.graph.nodes()) {
    if (node.form != Form::copy) continue;
    const Value &from = c.graph.values()[node.inputs[0].index], &to = c.graph.values()[node.outputs[0].index];
    INFO(node.label);
    CHECK(to.kind == from.kind);
    CHECK(to.layer == from.layer);
    CHECK(to.state == from.state);
    copies += to.kind == Kind::state && to.state == 1;
  }
  CHECK(copies > 0);
}

TEST_CASE("offload: copies further ahead take more staging, in layers and in the update each by its own distance") {
  const auto staging = [](EnumSet<Offload> kinds, uint32_t layers, uint32_t update) {
    MemoryPolicy policy = uniform_policy({}, kinds);
    policy.prefetch_distance = layers;
    policy.update_distance = update;
    return compiled(policy).memory.staging_bytes;
  };
  const EnumSet<Offload> states{offload_of_state(0)}, residuals{Offload::residuals};
  CHECK(staging(states, 1, 0) < staging(states, 1, 1));
  CHECK(staging(states, 1, 1) < staging(states, 1, 2));
  CHECK(staging(residuals, 0, 1) < staging(residuals, 1, 1));
  CHECK(staging(states, 0, 1) == staging(states, 2, 1));
  CHECK(staging(residuals, 1, 0) == staging(residuals, 1, 2));
}

TEST_CASE("release: a parameter is updated behind its gradient's last addition and its own last read, layer by layer") {
  const StepShape shape{.micro_batch = 4, .accumulation = 1, .sequence_length = 64};
  const OptimizerOptions by_tensor{.clip_by = ClipBy::tensor};
  for (const bool tied : {false, true})
    for (const Recipe recipe : {Recipe::bf16, Recipe::fp8}) {
      ModelConfig model = small_model();
      model.layers = 5;
      model.tied = tied;
      MemoryPolicy policy = uniform_policy({Recompute::qkv}, {offload_of_state(0), Offload::parameters});
      if (recipe == Recipe::fp8) policy.copies = {Copies::remade};
      policy.release = Release::once;
      const Compiled c = compile_step({model, {.recipe = recipe}, by_tensor, shape}, policy, target(3));
      CHECK(c.program.range(Range::update).empty());
      const std::vector<uint32_t> at = positions(c.graph);

      std::map<uint32_t, uint32_t> first_backward;  // by layer
      for (uint32_t n = 0; n < c.graph.nodes().size(); ++n) {
        const Node& node = c.graph.nodes()[n];
        if (node.range == Range::micro_step && node.tag.phase == Phase::backward)
          first_backward.try_emplace(node.tag.layer, at[n]);
      }
      size_t updates = 0;
      for (uint32_t n = 0; n < c.graph.nodes().size(); ++n) {
        const Node& node = c.graph.nodes()[n];
        if (node.op != OpId::adamw) continue;
        ++updates;
        INFO(node.label);
        CHECK(node.range == Range::micro_step);
        if (node.tag.layer != kNoLayer && node.tag.layer > 1) CHECK(at[n] < first_backward.at(node.tag.layer - 2));
      }
      CHECK(updates == 5 * 8 + 2 + (tied ? 0 : 1));

      uint64_t layer_bytes = 0, most = 0;
      std::map<uint32_t, int64_t> change;
      for (const Root& root : c.storage.roots) {
        const Value& value = c.graph.values()[root.value];
        if (value.kind != Kind::gradient) continue;
        INFO(value.layer, " ", root.bytes);
        CHECK(!root.persistent);
        CHECK(!root.host);
        if (value.layer == 2) layer_bytes += root.bytes;
        change[root.live.first] += int64_t(root.bytes);
        change[root.live.last + 1] -= int64_t(root.bytes);
      }
      int64_t live = 0;
      for (const auto& [position, delta] : change) most = std::max(most, uint64_t(live += delta));
      CHECK(most < 3 * layer_bytes + 2 * 256 * 64 * 2);  // and the embedding, bf16
    }
}

TEST_CASE("muon: matrices of layers have m and master, each fetched once per update; products go by the smaller side") {
  const StepShape shape{.micro_batch = 4, .accumulation = 2, .sequence_length = 64};
  const StepSpec spec{small_model(), {.recipe = Recipe::bf16, .master = true}, {.kind = OptimizerKind::muon}, shape};
  const std::vector<std::string> words = offload_words(spec);
  CHECK(std::vector(words.begin(), words.begin() + 3) == std::vector<std::string>{"m", "v", "master"});
  const Compiled c = compile_step(spec, uniform_policy({}, {offload_of_state(0), offload_of_state(2)}), target());

  size_t states = 0;
  for (const Value& value : c.graph.values()) {
    if (value.lifetime != Lifetime::variable || value.kind != Kind::state || value.desc.shape.rank() < 2) continue;
    INFO(value.name);
    CHECK(value.name.ends_with("." + words[value.state]));
    CHECK(value.on_host == (value.state != 1));
    if (value.layer != kNoLayer) CHECK(value.state != 1);
    states += value.layer != kNoLayer;
  }
  CHECK(states == 3 * 4 * 2);

  std::map<std::string, size_t> fetched;
  uint64_t flops = 0;
  for (const Node& node : c.graph.nodes()) {
    if (node.range != Range::update) continue;
    if (node.form == Form::copy) ++fetched[node.label];
    if (node.op == OpId::gemm) flops += op_of(node.op).cost(node.parameters, c.graph.operands_of(node)).flops;
  }
  CHECK(fetched.size() == 2 * 2 * (3 * 4 + 2));  // m and master there and back, of the embedding and the head too
  for (const auto& [label, times] : fetched) CHECK_MESSAGE(times == 1, label);

  uint64_t expected = 0;
  const auto matrix = [&](uint64_t smaller, uint64_t larger) {
    expected +=
        3 * 5 * (2 * smaller * smaller * larger + 2 * smaller * smaller * smaller + 2 * smaller * smaller * larger);
  };
  for (const uint64_t rows : {64, 64}) matrix(64, rows);            // q, o
  for (const uint64_t rows : {32, 32}) matrix(rows, 64);            // k, v
  for (const uint64_t columns : {96, 96, 96}) matrix(64, columns);  // gate, up, down
  CHECK(flops == expected);
}

TEST_CASE("apollo and galore: moments of the projection are fetched once per update; products go by the rank") {
  const StepShape shape{.micro_batch = 4, .accumulation = 2, .sequence_length = 64};
  for (const OptimizerKind kind : {OptimizerKind::apollo, OptimizerKind::galore}) {
    const OptimizerOptions options{.kind = kind, .projection_rank = 8};
    const StepSpec spec{small_model(), {.recipe = Recipe::bf16, .master = true}, options, shape};
    const std::vector<std::string> words = offload_words(spec);
    CHECK(std::vector(words.begin(), words.begin() + 3) == std::vector<std::string>{"m", "v", "master"});
    MemoryPolicy policy = uniform_policy({}, {offload_of_state(0), offload_of_state(1), offload_of_state(2)});
    policy.optimizer_chunk = 1000;
    const Compiled c = compile_step(spec, policy, target());

    std::map<std::string, std::vector<Shape>> shapes;  // by suffix, of layer 0
    for (const Value& value : c.graph.values()) {
      if (value.lifetime != Lifetime::variable || value.kind != Kind::state || value.layer != 0) continue;
      INFO(value.name);
      CHECK(value.on_host == (value.desc.shape.rank() == 2));
      if (value.desc.shape.rank() == 2) shapes[value.name.substr(value.name.rfind('.'))].push_back(value.desc.shape);
    }
    // q is 64 wide, k and v are 32 of 64; gate, up and down are 96 of 64
    CHECK(shapes.at(".m") == std::vector<Shape>{{64 * 3, 8}, {64, 8}, {96 * 2, 8}, {96, 8}});
    CHECK(shapes.at(".v") == shapes.at(".m"));

    std::map<std::string, size_t> fetched;
    uint64_t flops = 0;
    for (const Node& node : c.graph.nodes()) {
      if (node.range != Range::update) continue;
      if (node.form == Form::copy && node.tag.layer != kNoLayer) ++fetched[node.label];
      if (node.op == OpId::gemm) flops += op_of(node.op).cost(node.parameters, c.graph.operands_of(node)).flops;
    }
    CHECK(fetched.size() == 3 * 4 * 3 * 2);  // m, v and master there and back
    for (const auto& [label, times] : fetched) CHECK_MESSAGE(times == 1, label);
    const uint64_t elements = 2 * 64 * 64 + 2 * 32 * 64 + 3 * 96 * 64;
    CHECK(flops == 3 * (kind == OptimizerKind::apollo ? 1 : 2) * 2 * elements * 8);
  }
}

TEST_CASE(
    "adalomo: states stay on the device, masters are fetched once per update, and each stored tensor is updated once") {
  const StepShape shape{.micro_batch = 4, .accumulation = 1, .sequence_length = 64};
  const OptimizerOptions options{.kind = OptimizerKind::adalomo, .clip_by = ClipBy::tensor};
  const StepSpec spec{small_model(), {.recipe = Recipe::bf16, .master = true}, options, shape};
  const std::vector<std::string> words = offload_words(spec);
  CHECK(std::vector(words.begin(), words.begin() + 3) == std::vector<std::string>{"v", "master", ""});
  for (const Release release : {Release::none, Release::once}) {
    MemoryPolicy policy = uniform_policy({}, {offload_of_state(0), offload_of_state(1)});
    policy.optimizer_chunk = 1000;
    policy.release = release;
    const Compiled c = compile_step(spec, policy, target());

    std::map<std::string, Shape> shapes;
    for (const Value& value : c.graph.values()) {
      if (value.lifetime != Lifetime::variable || value.kind != Kind::state) continue;
      INFO(value.name);
      CHECK(value.on_host == (value.desc.shape.rank() == 2));
      if (value.on_host) CHECK(value.name.ends_with(".master"));
      shapes[value.name] = value.desc.shape;
    }
    // q is 64 of 64, k and v are 32 of 64; gate and up are 96 of 64, down 64 of 96
    CHECK(shapes.at("layers.1.qkv.weight.row") == Shape{128});
    CHECK(shapes.at("layers.1.qkv.weight.column") == Shape{3 * 64});
    CHECK(shapes.at("layers.1.gate_up.weight.row") == Shape{2 * 96});
    CHECK(shapes.at("layers.1.gate_up.weight.column") == Shape{2 * 64});
    CHECK(shapes.at("layers.1.down.weight.row") == Shape{64});
    CHECK(shapes.at("layers.1.down.weight.column") == Shape{96});
    CHECK(shapes.at("norm.weight.v") == Shape{64});
    CHECK(!shapes.contains("norm.weight.row"));

    std::map<std::string, size_t> fetched;
    size_t updates = 0;
    for (const Node& node : c.graph.nodes()) {
      if (node.op == OpId::adalomo_update) {
        ++updates;
        CHECK((node.range == Range::update) == (release == Release::none));
      }
      if (node.form == Form::copy) ++fetched[node.label];
    }
    size_t stored = 0;
    for (const ParameterSpec& one : parameter_specs(spec.model)) stored += one.parts.size();
    CHECK(updates == stored);
    CHECK(fetched.size() == 2 * (3 * 4 + 2));  // masters there and back, of the embedding and the head too
    for (const auto& [label, times] : fetched) CHECK_MESSAGE(times == 1, label);
  }
}

TEST_CASE("a budget: the error names what is alive and the largest that fits, which does fit") {
  Target small = target();
  const StepShape shape{.micro_batch = 16, .accumulation = 1, .sequence_length = 64};
  const Precision precision{.recipe = Recipe::bf16};
  const auto bytes_of_batch = [&](uint32_t b) {
    StepShape s = shape;
    s.micro_batch = b;
    return compile_step({small_model(), precision, {}, s}, {}, target()).memory.arena_bytes();
  };
  small.reserve_bytes = 1 << 20;
  small.memory_bytes = bytes_of_batch(5) + small.reserve_bytes;
  CHECK(largest_micro_batch({small_model(), precision, {}, shape}, {}, small) == 5);
  CHECK_THROWS_WITH_AS(compile_step_or_suggest({small_model(), precision, {}, shape}, {}, small),
                       doctest::Contains("the largest that fits: batch.micro_batch = 5"), Error);
  --small.memory_bytes;
  CHECK(largest_micro_batch({small_model(), precision, {}, shape}, {}, small) == 4);
  small.memory_bytes = small.reserve_bytes;
  CHECK(largest_micro_batch({small_model(), precision, {}, shape}, {}, small) == 0);
}
