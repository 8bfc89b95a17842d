#include "core/passes/compile.h"

#include <doctest/doctest.h>

#include <random>

#include "core/abi/add.h"
#include "core/abi/gemm.h"
#include "core/program/accesses.h"
#include "core/program/verify.h"

using namespace tandem;

namespace {

Target small_target() {
  Target t;
  t.name = "test";
  t.largest_arena = t.largest_operand = t.largest_chunk = t.memory_bytes = 1 << 30;
  return t;
}

ValueId add(Graph& g, Range range, ValueId a, ValueId b) {
  return g.add(range, OpId::add, Parameters(abi::Add{}), {a, b})[0];
}

// a chain and random cross links: each value is used by the next node and maybe by a later one
Graph random_graph(uint32_t seed, int nodes = 40) {
  std::mt19937 random(seed);
  Graph g;
  const ValueId x = g.variable("x", {DType::f32, {64 + 64 * (seed % 3)}});
  ValueIds values{x};
  for (int i = 0; i < nodes; ++i)
    values.push_back(add(g, Range::micro_step, values.back(), values[random() % values.size()]));
  g.keep(values.back(), "y");
  return g;
}

size_t count_barriers(const Program& p, Range range) {
  size_t n = 0;
  for (const Instruction& i : p.range(range)) n += std::holds_alternative<Barrier>(i.command);
  return n;
}

bool says(const MemoryPlan& plan, std::string_view text) {
  return plan.shortfall.find(text) != std::string::npos;
}

}  // namespace

TEST_CASE("plan_memory: transients that live together never share bytes, and the plan is near its lower bound") {
  for (uint32_t seed = 0; seed < 40; ++seed) {
    const Graph g = random_graph(seed, seed < 30 ? 40 : 500);  // many nodes: roots are placed by windows of them
    const Storage storage = resolve_storage(g);
    const MemoryPlan plan = plan_memory(g, storage, small_target());
    for (uint32_t a = 0; a < storage.roots.size(); ++a)
      for (uint32_t b = 0; b < a; ++b) {
        const Root &x = storage.roots[a], &y = storage.roots[b];
        const bool together =
            x.persistent || y.persistent || (x.live.first <= y.live.last && y.live.first <= x.live.last);
        if (together) CHECK_FALSE(conflict(BufferAccess{plan.buffers[a], true}, BufferAccess{plan.buffers[b], true}));
      }
    CHECK(plan.arena_bytes() <= plan.lower_bound * 11 / 10);
    CHECK(plan.arena_bytes() >= plan.lower_bound);
  }
}

TEST_CASE("plan_memory: arenas split at the target's limit, and a value over it is a shortfall that names it") {
  Graph g;
  for (int i = 0; i < 4; ++i) g.variable(fmt::format("v{}", i), {DType::f32, {1024}});
  Target target = small_target();
  target.largest_arena = 2 * 4096;
  const MemoryPlan plan = plan_memory(g, resolve_storage(g), target);
  CHECK(plan.arenas.size() == 2);
  CHECK(plan.fits());
  CHECK_NOTHROW(require_fits(plan));
  target.largest_arena = 2048;
  const MemoryPlan over = plan_memory(g, resolve_storage(g), target);
  CHECK(says(over, "value v0 f32 (1024) takes 4096 bytes"));
  CHECK(over.arenas.size() == 4);  // Each has its place all the same.
  CHECK_THROWS_WITH_AS(require_fits(over), over.shortfall.c_str(), Error);
}

TEST_CASE("plan_memory: an operand over the target's limit is a shortfall that names it and a key") {
  Graph g;
  const ValueId x = g.variable("x", {DType::f32, {1024}});
  g.keep(add(g, Range::update, x, x), "y");
  Target target = small_target();
  target.largest_operand = 4096;
  CHECK(plan_memory(g, resolve_storage(g), target).fits());
  target.largest_operand = 4095;
  const MemoryPlan over = plan_memory(g, resolve_storage(g), target);
  CHECK(says(over, "operand f32 (1024) of 4096 bytes"));
  CHECK(says(over, "batch.micro_batch"));
  CHECK_FALSE(compile(std::move(g), target).memory.fits());
}

TEST_CASE("plan_memory: the shortfall of the device's memory, and the host's, names the largest values") {
  Graph g;
  g.variable("small", {DType::f32, {64}});
  g.variable("huge", {DType::f32, {1 << 20}});
  Target target = small_target();
  target.memory_bytes = 1 << 20;
  const MemoryPlan plan = plan_memory(g, resolve_storage(g), target);
  CHECK(says(plan, "largest values: huge f32"));
  CHECK(plan.arena_bytes() > target.memory_bytes);
  target.memory_bytes = uint64_t(1) << 40;
  g.place_on_host(g.variable("far", {DType::f32, {1 << 20}}));
  target.host_memory_bytes = 1 << 20;
  CHECK(says(plan_memory(g, resolve_storage(g), target), "on the host"));
  CHECK_THROWS_WITH_AS(compile_to_run(std::move(g), target), doctest::Contains("largest values: far"), Error);
}

TEST_CASE("storage: slices and concats name parts of one root, in-place outputs share their input's bytes") {
  Graph g;
  const ValueId zeros = g.zeros(Range::update, {DType::f32, {128, 4}});
  const ValueId half = g.slice(Range::update, zeros, 64, 64);
  const ValueId a = add(g, Range::update, half, half), b = add(g, Range::update, half, a);
  const ValueId both = g.concat(Range::update, {a, b});
  const Storage s = resolve_storage(g);
  CHECK(s.places[half.index].root == zeros.index);
  CHECK(s.places[half.index].offset == 64 * 4 * 4);
  CHECK(s.places[a.index].root == both.index);
  CHECK(s.places[b.index].root == both.index);
  CHECK(s.places[b.index].offset == 64 * 4 * 4);
}

TEST_CASE("storage: what an exchange reads stays until the next exchange, so that nothing beside it waits") {
  Graph g;
  g.set_ranks(2);
  const TensorDesc desc{DType::f32, {128, 4}};
  ValueIds wholes, parts;
  for (int i = 0; i < 2; ++i) {
    wholes.push_back(g.zeros(Range::micro_step, desc));
    g.set_rows(wholes.back(), {128, 64, true});
    parts.push_back(g.all_to_all(Range::micro_step, {wholes.back()}, "parts")[0]);
    const ValueId beside = add(g, Range::micro_step, parts[0], parts[0]);
    g.keep(add(g, Range::micro_step, beside, beside), fmt::format("sum {}", i));
  }
  const Storage s = resolve_storage(g);
  const auto live = [&](ValueId v) { return s.roots[s.root_of[s.places[v.index].root]].live; };
  CHECK(live(wholes[0]).last == live(parts[1]).first);
  CHECK(live(wholes[1]).last == live(parts[1]).first);
}

// A product onto zeros, and whether the zeros are made.
struct OntoZeros {
  bool made = false;
  abi::Gemm gemm;
  Access access;
};

OntoZeros onto_zeros(When zeros_when, bool padded, bool read_before, uint32_t accumulation = 2) {
  Graph g;
  g.set_ranks(2);
  g.set_accumulation(accumulation);
  const ValueId a = g.variable("a", {DType::f32, {16, 8}}), b = g.variable("b", {DType::f32, {16, 24}});
  ValueId zeros;
  {
    const Scope scope(g, {.when = zeros_when});
    zeros = g.zeros(Range::micro_step, {DType::f32, {8, 24}});
  }
  if (padded) g.set_rows(zeros, {8, 16, true});
  if (read_before) g.keep(add(g, Range::micro_step, zeros, zeros), "zeros twice");
  abi::Gemm p{};
  p.form = abi::kGemmTn;
  p.accumulate = 1;
  const ValueId none;
  g.keep(g.add(Range::micro_step, OpId::gemm, Parameters(p), {a, b, none, none, none, zeros})[0], "sum");
  const Compiled compiled = compile(std::move(g), small_target());
  OntoZeros found;
  for (const Instruction& i : compiled.program.range(Range::micro_step)) {
    found.made |= std::holds_alternative<Fill>(i.command);
    if (const auto* d = std::get_if<Dispatch>(&i.command); d && d->op == OpId::gemm)
      found.gemm = d->parameters.as<abi::Gemm>(), found.access = d->operands.back().access;
  }
  return found;
}

TEST_CASE("linearize: zeros that one product alone adds to are not made") {
  for (const OntoZeros& spared : {onto_zeros(When::each, false, false), onto_zeros(When::first, false, false, 1)}) {
    CHECK(!spared.made);
    CHECK(spared.gemm.accumulate == abi::kGemmOntoZeros);
    CHECK(spared.access == Access::write);
  }
  for (const OntoZeros& kept : {onto_zeros(When::first, false, false), onto_zeros(When::each, true, false),
                                onto_zeros(When::each, false, true)}) {
    CHECK(kept.made);
    CHECK(kept.gemm.accumulate == 1);
    CHECK(kept.access == Access::read_write);
  }
}

TEST_CASE("synchronize: a barrier between dependent instructions only, and the hazard check agrees") {
  Graph g;
  const ValueId x = g.variable("x", {DType::f32, {64}}), y = g.variable("y", {DType::f32, {64}});
  const ValueId a = add(g, Range::update, x, x), b = add(g, Range::update, y, y);  // independent
  g.keep(add(g, Range::update, a, b), "sum");
  const Compiled compiled = compile(g, small_target());
  CHECK(count_barriers(compiled.program, Range::update) == 1);
  for (uint32_t seed = 0; seed < 20; ++seed) CHECK_NOTHROW(compile(random_graph(seed), small_target()));
}
