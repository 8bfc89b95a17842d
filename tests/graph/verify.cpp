// Each claim of Graph::verify, with a fault that breaks it.
#include <doctest/doctest.h>

#include "core/abi/loss_sum.h"
#include "core/graph/backward.h"

using namespace tandem;

namespace {

const TensorDesc kOne{DType::f32, {1}}, kEight{DType::f32, {8}};

// onto += the sum of x, in place
ValueId accumulate(Graph& g, Range range, ValueId x, ValueId onto) {
  return g.add(range, OpId::loss_sum, Parameters(abi::LossSum{}), {x, onto}, "sum")[0];
}

void check_refused(const Graph& g, const char* why) {
  CHECK_THROWS_WITH_AS(g.verify(), doctest::Contains(why), Error);
}

}  // namespace

TEST_CASE("graph verify: a node reads what an earlier one made") {
  Graph g;
  const ValueId x = g.zeros(Range::begin, kEight), y = sum(g, Range::begin, x, x), z = sum(g, Range::begin, y, y);
  CHECK_NOTHROW(g.verify());
  g.node(1).inputs[1] = z;
  check_refused(g, "node 1 (add ) reads %2 before it is made");
}

TEST_CASE("graph verify: a node does not read what a later range makes, wherever it stands in the list") {
  Graph g;
  const ValueId x = g.zeros(Range::update, kEight);
  sum(g, Range::begin, x, x);
  check_refused(g, "before it is made");
}

TEST_CASE("graph verify: what begin makes, and variables and externals, are used in several ranges") {
  Graph g;
  const ValueId made = g.zeros(Range::begin, kEight), variable = g.variable("v", kEight),
                external = g.external("e", kEight);
  for (const Range range : {Range::micro_step, Range::update, Range::evaluate})
    sum(g, range, sum(g, range, made, variable), external);
  CHECK_NOTHROW(g.verify());
}

TEST_CASE("graph verify: what another range makes is used in that one alone") {
  Graph g;
  const ValueId x = g.zeros(Range::micro_step, kEight);
  sum(g, Range::micro_step, x, x);
  CHECK_NOTHROW(g.verify());
  sum(g, Range::update, x, x);
  check_refused(g, "node 2 (add ) of update reads %0, which micro_step makes");
}

TEST_CASE("graph verify: what the first micro-step alone makes stays; what the last one does is read there or later") {
  Graph g;
  const ValueId x = g.variable("x", kEight);
  const auto in = [&](When when, auto make) {
    const Scope scope(g, {.when = when});
    return make();
  };
  const ValueId zero = in(When::first, [&] { return g.zeros(Range::micro_step, kOne); });
  const ValueId added = accumulate(g, Range::micro_step, x, zero);
  const ValueId last = in(When::last, [&] { return g.copy(Range::micro_step, added, {}); });
  in(When::last, [&] { return g.copy(Range::micro_step, last, {}); });
  g.copy(Range::update, g.concat(Range::update, {last}), {});
  g.copy(Range::update, added, {});
  CHECK_NOTHROW(g.verify());
  g.copy(Range::micro_step, last, {});
  check_refused(g, "in each micro-step, and the last alone makes it");
}

TEST_CASE("graph verify: an accumulator that begin makes is updated in one range and read in another") {
  Graph g;
  const ValueId x = g.variable("x", kEight), zero = g.zeros(Range::begin, kOne);
  const ValueId loss = accumulate(g, Range::micro_step, x, zero);
  g.copy(Range::update, loss, {});
  CHECK_NOTHROW(g.verify());
  g.copy(Range::update, zero, {});
  check_refused(g, "has overwritten");
}

TEST_CASE("graph verify: an overwrite spoils the value overwritten") {
  Graph g;
  const ValueId x = g.variable("x", kEight), zero = g.zeros(Range::micro_step, kOne);
  const ValueId first = accumulate(g, Range::micro_step, x, zero);
  accumulate(g, Range::micro_step, x, first);
  CHECK_NOTHROW(g.verify());
  accumulate(g, Range::micro_step, x, first);
  check_refused(g, "node 3 (loss_sum sum) reads %2, which node 2 (loss_sum sum) has overwritten");
}

TEST_CASE("graph verify: an overwrite spoils slices of those rows, not of others") {
  Graph g;
  const Range range = Range::micro_step;
  const ValueId x = g.variable("x", kEight), words = g.zeros(range, kEight);
  const ValueId second = g.slice(range, words, 1, 1), third = g.slice(range, words, 2, 1);
  const ValueId again = g.slice(range, words, 1, 1);
  accumulate(g, range, x, second);
  g.copy(range, third, {});
  g.copy(range, g.slice(range, words, 3, 1), {});  // rows that are left, of a whole that is spoiled
  CHECK_NOTHROW(g.verify());
  SUBCASE("a slice made before") {
    g.copy(range, again, {});
    check_refused(g, "has overwritten");
  }
  SUBCASE("a slice made behind") {
    g.slice(range, words, 1, 1);
    check_refused(g, "has overwritten");
  }
  SUBCASE("the whole") {
    g.copy(range, words, {});
    check_refused(g, "has overwritten");
  }
}

TEST_CASE("graph verify: an overwrite of a part spoils the concat") {
  Graph g;
  const Range range = Range::micro_step;
  const ValueId x = g.variable("x", kEight), a = g.zeros(range, kOne), b = g.zeros(range, kOne);
  const ValueId both = g.concat(range, {a, b});
  g.copy(range, both, {});
  CHECK_NOTHROW(g.verify());
  accumulate(g, range, x, b);
  g.copy(range, both, {});
  check_refused(g, "has overwritten");
}

TEST_CASE("graph verify: no variable, external, kept value or value on the host is a part of a concat") {
  Graph g;
  const Range range = Range::micro_step;
  const ValueId x = g.variable("x", kEight);
  ValueId part = g.zeros(range, kOne);
  g.concat(range, {g.zeros(range, kOne), g.zeros(range, kOne)});
  CHECK_NOTHROW(g.verify());
  SUBCASE("a variable") {
    part = g.variable("part", kOne);
  }
  SUBCASE("an external") {
    part = g.external("part", kOne);
  }
  SUBCASE("a kept value") {
    g.keep(part, "part");
  }
  SUBCASE("what overwrote a variable") {
    part = accumulate(g, range, x, accumulate(g, range, x, g.variable("part", kOne)));
  }
  SUBCASE("a value on the host") {
    g.place_on_host(part);
  }
  g.concat(range, {g.zeros(range, kOne), part});
  check_refused(g, "a part's are the concat's");
}

TEST_CASE("graph verify: an overwrite spoils a variable, and an external, until the range ends") {
  for (const bool external : {false, true}) {
    CAPTURE(external);
    Graph g;
    const ValueId x = g.variable("x", kEight), total = external ? g.external("total", kOne) : g.variable("total", kOne);
    const ValueId slice = g.slice(Range::begin, total, 0, 1);
    accumulate(g, Range::micro_step, x, total);
    g.copy(Range::update, total, {});
    CHECK_NOTHROW(g.verify());
    SUBCASE("the variable, in that range") {
      g.copy(Range::micro_step, total, {});
    }
    SUBCASE("what an earlier range made of it") {
      g.copy(Range::update, slice, {});
    }
    check_refused(g, "has overwritten");
  }
}
