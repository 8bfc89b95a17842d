// What two targets have in common, field by field.
#include "core/runtime/verifier.h"

#include <doctest/doctest.h>

namespace tandem {
namespace {

Target first() {
  Target t;
  t.name = "first";
  t.queues = queues_of(3);
  t.largest_arena = 1000;
  t.largest_operand = 900;
  t.largest_chunk = 800;
  t.alignment = 64;
  t.memory_bytes = 5000;
  t.reserve_bytes = 10;
  t.workspace_bytes = 20;
  t.scratch = [](OpId, const Parameters&, Operands) { return uint64_t{40}; };
  t.staging_bytes = 30;
  t.host_memory_bytes = 7000;
  t.rates.bandwidth = t.rates.f32 = 1;
  return t;
}

uint64_t scratch(const Target& target) {
  return target.scratch(OpId::add, Parameters(), {});
}

}  // namespace

TEST_CASE("meet: the smaller limit, the larger need, the union of queues, whichever comes first") {
  const auto both = [](const auto& change) {
    Target second = first();
    second.name = "second";
    change(second);
    const Target ab = meet(first(), second), ba = meet(second, first());
    CHECK(ab.name == "first and second");
    CHECK(ab.queues == ba.queues);
    CHECK(ab.largest_arena == ba.largest_arena);
    CHECK(ab.largest_operand == ba.largest_operand);
    CHECK(ab.largest_chunk == ba.largest_chunk);
    CHECK(ab.alignment == ba.alignment);
    CHECK(ab.memory_bytes == ba.memory_bytes);
    CHECK(ab.reserve_bytes == ba.reserve_bytes);
    CHECK(ab.workspace_bytes == ba.workspace_bytes);
    CHECK(scratch(ab) == scratch(ba));
    CHECK(ab.staging_bytes == ba.staging_bytes);
    CHECK(ab.host_memory_bytes == ba.host_memory_bytes);
    CHECK(ab.rates.known() == ba.rates.known());
    return ab;
  };
  CHECK(both([](Target& t) { t.queues = queues_of(1); }).queues == queues_of(3));
  CHECK(both([](Target& t) { t.largest_arena = 1; }).largest_arena == 1);
  CHECK(both([](Target& t) { t.largest_operand = 1; }).largest_operand == 1);
  CHECK(both([](Target& t) { t.largest_chunk = 1; }).largest_chunk == 1);
  CHECK(both([](Target& t) { t.alignment = 48; }).alignment == 192);
  CHECK(both([](Target& t) { t.memory_bytes = 1; }).memory_bytes == 1);
  CHECK(both([](Target& t) { t.reserve_bytes = 99; }).reserve_bytes == 99);
  CHECK(both([](Target& t) { t.workspace_bytes = 99; }).workspace_bytes == 99);
  CHECK(scratch(both([](Target& t) { t.scratch = [](OpId, const Parameters&, Operands) { return uint64_t{99}; }; })) ==
        99);
  CHECK(scratch(both([](Target& t) { t.scratch = {}; })) == 40);
  CHECK(both([](Target& t) { t.staging_bytes = 99; }).staging_bytes == 99);
  CHECK(both([](Target& t) { t.host_memory_bytes = 1; }).host_memory_bytes == 1);
  CHECK(both([](Target& t) { t.host_memory_bytes = 0; }).host_memory_bytes == 7000);  // 0: not known
  CHECK(both([](Target& t) { t.rates = {}; }).rates.known());
}

}  // namespace tandem
