#include "core/model/transformer.h"

#include <doctest/doctest.h>

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
    const std::vector<ValueId> caches{graph.variable("cache", {DType::bf16, {2, 2, 4, 16}})};
    const auto build = [&] { model.hidden_state_cached(Range::evaluate, token, position, rope, caches); };
    if (recipe == Recipe::bf16) CHECK_NOTHROW(build());
    else CHECK_THROWS_WITH_AS(build(), doctest::Contains("never quantized"), Error);
  }
}
