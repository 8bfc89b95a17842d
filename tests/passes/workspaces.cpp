// Workspaces: planned like any other transient, and ordered like one.
#include <doctest/doctest.h>

#include <algorithm>
#include <random>

#include "core/abi/add.h"
#include "core/abi/embedding_backward.h"
#include "core/abi/gemm.h"
#include "core/passes/compile.h"
#include "core/program/accesses.h"

namespace tandem {
namespace {

Target target_with(ScratchOf scratch) {
  Target t;
  t.name = "test";
  t.largest_arena = t.largest_operand = t.largest_chunk = t.memory_bytes = 1 << 30;
  t.scratch = std::move(scratch);
  return t;
}

ValueId add(Graph& g, ValueId a, ValueId b) {
  return g.add(Range::micro_step, OpId::add, Parameters(abi::Add{}), {a, b})[0];
}

// Sums of rows of two to five hundred; larger ones want more scratch.
Graph random_graph(uint32_t seed) {
  std::mt19937 random(seed);
  Graph g;
  for (uint64_t rows = 2; rows <= 512; rows *= 4) {
    ValueIds values{g.variable(fmt::format("x{}", rows), {DType::f32, {64 * rows}})};
    for (int i = 0; i < 12; ++i) values.push_back(add(g, values.back(), values[random() % values.size()]));
    g.keep(values.back(), fmt::format("y{}", rows));
  }
  return g;
}

uint64_t scratch_of_rows(OpId, const Parameters&, Operands operands) {
  return operands[0].bytes() > 1024 ? operands[0].bytes() + 100 : 0;
}

std::vector<const Dispatch*> dispatches(const Program& program) {
  std::vector<const Dispatch*> found;
  for (const Instruction& i : program.range(Range::micro_step))
    if (const auto* d = std::get_if<Dispatch>(&i.command)) found.push_back(d);
  return found;
}

size_t count_barriers(const Program& program) {
  const auto is_barrier = [](const Instruction& i) { return std::holds_alternative<Barrier>(i.command); };
  return size_t(std::ranges::count_if(program.range(Range::micro_step), is_barrier));
}

TEST_CASE("workspaces: each dispatch has what the target asks for, apart from all that lives beside it") {
  for (uint32_t seed = 0; seed < 20; ++seed) {
    const Target with = target_with(scratch_of_rows);
    const Compiled compiled = compile(random_graph(seed), with), bare = compile(random_graph(seed), target_with({}));
    uint64_t most = 0;
    for (const Dispatch* d : dispatches(compiled.program)) {
      const uint64_t wanted = scratch_of_rows(d->op, d->parameters, descs_of(*d));
      CHECK(d->workspace.bytes >= wanted);
      CHECK((d->workspace.bytes > 0) == (wanted > 0));
      most = std::max(most, d->workspace.bytes);
    }
    const auto& [graph, storage, buffers] = std::tie(compiled.graph, compiled.storage, compiled.memory.buffers);
    for (uint32_t a = 0; a < storage.roots.size(); ++a)
      for (uint32_t b = 0; b < storage.roots.size(); ++b) {
        const Root &x = storage.roots[a], &y = storage.roots[b];
        if (a == b || !x.workspace) continue;
        const bool together = y.persistent || (x.live.first <= y.live.last && y.live.first <= x.live.last);
        if (together) CHECK_FALSE(conflict(BufferAccess{buffers[a], true}, BufferAccess{buffers[b], true}));
      }
    CHECK(compiled.memory.arena_bytes() >= bare.memory.arena_bytes());
    CHECK(compiled.memory.arena_bytes() <= bare.memory.arena_bytes() + most + with.alignment);
  }
}

TEST_CASE("workspaces: dispatches that share scratch and nothing else run one after the other") {
  const auto compiled = [](ScratchOf scratch) {
    Graph g;
    const ValueId x = g.variable("x", {DType::f32, {64}}), y = g.variable("y", {DType::f32, {64}});
    g.keep(add(g, x, x), "twice x");
    g.keep(add(g, y, y), "twice y");
    return compile(std::move(g), target_with(std::move(scratch)));
  };
  CHECK(count_barriers(compiled({}).program) == 0);
  const Compiled shared = compiled([](OpId, const Parameters&, Operands) { return uint64_t{1000}; });
  CHECK(count_barriers(shared.program) == 1);
  const auto both = dispatches(shared.program);
  CHECK(both[0]->workspace.offset == both[1]->workspace.offset);
}

TEST_CASE(
    "workspaces: a library's op gets the library's bytes, another what its kernel wants, a table without any none") {
  constexpr uint64_t kLibrary = 32 << 20, kTokens = 96, kVocabulary = 256;
  Graph g;
  const ValueId a = g.variable("a", {DType::bf16, {64, 64}}), b = g.variable("b", {DType::bf16, {64, 64}});
  const ValueId none;
  g.keep(g.add(Range::micro_step, OpId::gemm, Parameters(abi::Gemm{.form = abi::kGemmNt}), {a, b, none, none, none})[0],
         "product");
  const ValueId tokens = g.variable("tokens", {DType::i32, {kTokens}}),
                dx = g.variable("dx", {DType::bf16, {kTokens, 64}});
  const ValueId gradient = g.variable("gradient", {DType::bf16, {kVocabulary, 64}});
  g.add(Range::micro_step, OpId::embedding_backward, Parameters(abi::EmbeddingBackward{}), {tokens, dx, gradient});
  const ValueId x = g.variable("x", {DType::f32, {64}});
  g.keep(add(g, x, x), "sum");

  Target target = target_with({});
  const Compiled without = compile(g, target);
  for (const Dispatch* d : dispatches(without.program)) CHECK(d->workspace.bytes == 0);
  target.workspace_bytes = kLibrary;
  const Compiled with = compile(g, target);
  const auto found = dispatches(with.program);
  CHECK(found[0]->workspace.bytes == kLibrary);
  CHECK(found[1]->workspace.bytes == 3 * kVocabulary * sizeof(uint32_t));
  CHECK(found[2]->workspace.bytes == 0);
}

}  // namespace
}  // namespace tandem
