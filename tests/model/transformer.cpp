#include "core/model/transformer.h"

#include <doctest/doctest.h>

#include "core/abi/gemm.h"
#include "core/step/step_graph.h"

using namespace tandem;

TEST_CASE("transformer: one token over a cache is refused in fp8") {
  ModelConfig config{.family = Family::llama, .vocabulary = 32, .hidden = 32, .ffn = 32, .layers = 1};
  config.q_heads = config.kv_heads = 2;
  config.head_dim = 16;
  for (const Recipe recipe : {Recipe::bf16, Recipe::fp8}) {
    Graph graph;
    Transformer model(graph, config, {.recipe = recipe});
    const ValueId token = graph.external("token", {DType::i32, {1}}),
                  position = graph.external("position", {DType::i32, {1}});
    const ValueId rope = graph.variable("rope", {DType::f32, {4, 8, 2}});
    const ValueIds caches{graph.variable("cache", {DType::bf16, {2, 2, 4, 16}})};
    const auto build = [&] { model.hidden_state_cached(Range::evaluate, token, position, rope, caches); };
    if (recipe == Recipe::bf16) CHECK_NOTHROW(build());
    else CHECK_THROWS_WITH_AS(build(), doctest::Contains("never quantized"), Error);
  }
}

// dx = rne(rne(dY W) + dt A), as docs/lora.md has it: dt A is not rounded by itself.
TEST_CASE("transformer: an adapter's input gradient is accumulated onto the base's in every recipe") {
  ModelConfig config{.family = Family::llama, .vocabulary = 32, .hidden = 32, .ffn = 32, .layers = 2};
  config.q_heads = config.kv_heads = 2;
  config.head_dim = 16;
  for (const Recipe recipe : {Recipe::fp32, Recipe::bf16, Recipe::fp8}) {
    StepSpec spec{.model = config};
    spec.precision = {.recipe = recipe};
    spec.shape = {.micro_batch = 1, .accumulation = 1, .sequence_length = 16, .head_chunks = 1};
    spec.lora = {.rank = 8, .modules = std::vector<EnumSet<LoraModule>>(config.layers, kAllLinears)};
    const Graph graph = build_step_graph(spec);
    int adds = 0, accumulating = 0;
    for (const Node& node : graph.nodes()) {
      if (node.range != Range::micro_step || node.tag.phase != Phase::backward) continue;
      adds += node.op == OpId::add;
      if (node.op == OpId::gemm && node.label.text().ends_with(".lora_a")) {
        const auto p = node.parameters.as<abi::Gemm>();
        accumulating += p.accumulate == 1 && p.form == abi::kGemmNn;
      }
    }
    CHECK(adds == 0);
    CHECK(accumulating == 4 * 2 - 1);  // what enters the first layer has no gradient
  }
}
