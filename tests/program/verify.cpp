// Each check of a Program, with a fault planted for it.
#include "core/program/verify.h"

#include <doctest/doctest.h>

#include <functional>

#include "core/abi/add.h"
#include "core/program/dump.h"

namespace tandem {
namespace {

constexpr uint64_t kArena = 4096;

Target target() {
  Target t;
  t.name = "test";
  t.queues = queues_of(3);
  t.largest_arena = t.memory_bytes = 1 << 20;
  t.largest_operand = t.largest_chunk = 512;
  t.scratch = [](OpId, const Parameters&, Operands) { return uint64_t{100}; };
  return t;
}

BufferRef at(uint64_t offset, uint64_t bytes = 256, uint32_t arena = 0) {
  return {arena, offset, bytes};
}

// y = a + b, 64 f32 each, after a fill and a copy that come in on another queue
Program sample() {
  const TensorDesc desc{DType::f32, {64}};
  Program p;
  p.arenas = {{"device", ArenaKind::device, kArena}, {"host", ArenaKind::host, kArena}};
  p.bindings = {{"y", desc, at(512)}};
  p.ranges[size_t(Range::micro_step)] = {
      {Queue::compute, Fill{at(0)}, "zero"},
      {Queue::in, Copy{at(0, 256, 1), at(256)}, "fetch"},
      {Queue::in, Signal{7}, ""},
      {Queue::compute, Barrier{}, ""},
      {Queue::compute, Wait{7}, ""},
      {Queue::compute,
       Dispatch{OpId::add,
                Parameters(abi::Add{64}),
                {{desc, at(0), Access::read}, {desc, at(256), Access::read}, {desc, at(512), Access::write}},
                at(2048, 100)},
       "sum"}};
  return p;
}

std::vector<Instruction>& code(Program& p) {
  return p.ranges[size_t(Range::micro_step)];
}
Dispatch& dispatch(Program& p) {
  return std::get<Dispatch>(code(p)[5].command);
}
Copy& copy(Program& p) {
  return std::get<Copy>(code(p)[1].command);
}

// the error's text; empty: none
std::string error_of(const std::function<void(Program&)>& plant) {
  Program p = sample();
  plant(p);
  try {
    verify(p, target());
    check_hazards(p);
  } catch (const Error& e) {
    CHECK(e.exit() == Exit::internal);
    return e.what();
  }
  return "";
}

}  // namespace

TEST_CASE("verify: a sound Program passes, and each planted fault is named") {
  const auto found = [](const char* text, const std::function<void(Program&)>& plant) {
    INFO(text);
    CHECK(error_of(plant).find(text) != std::string::npos);
  };
  CHECK(error_of([](Program&) {}) == "");
  found("over the target's", [](Program& p) { p.arenas[0].bytes = 2 << 20; });
  found("lie outside arena", [](Program& p) { std::get<Fill>(code(p)[0].command).buffer.bytes = 2 * kArena; });
  found("lie outside arena", [](Program& p) { copy(p).to.offset = UINT64_MAX - 255; });  // offset + bytes wraps
  found("no arena 9", [](Program& p) { copy(p).from.arena = 9; });
  found("not a multiple of 256", [](Program& p) { std::get<Fill>(code(p)[0].command).buffer.offset = 4; });
  found("lie outside arena", [](Program& p) { p.bindings[0].buffer.offset = kArena; });
  found("has 128 bytes for", [](Program& p) { dispatch(p).operands[0].buffer.bytes = 128; });
  found("the target's limit is 512", [](Program& p) { dispatch(p).operands[2].buffer.bytes = 1024; });
  found("a workspace of 99 bytes, the target asks for 100", [](Program& p) { dispatch(p).workspace.bytes = 99; });
  found("lie outside arena", [](Program& p) { dispatch(p).workspace.offset = kArena; });
  found("no arena 3", [](Program& p) { dispatch(p).workspace.arena = 3; });
  found("operands 1 and 3 overlap", [](Program& p) { dispatch(p).workspace.offset = 256; });
  found("256 bytes to 128", [](Program& p) { copy(p).to.bytes = 128; });
  found("is on queue out, expected compute", [](Program& p) { code(p)[5].queue = Queue::out; });
  found("is on queue in, expected compute", [](Program& p) { code(p)[0].queue = Queue::in; });
  found("operands 0 and 2 overlap", [](Program& p) { dispatch(p).operands[2].buffer.offset = 0; });
  found("operands 0 and 1 overlap", [](Program& p) { copy(p) = {at(0), at(0)}; });
  found("wait 7 comes before its signal", [](Program& p) { std::swap(code(p)[2], code(p)[4]); });
}

TEST_CASE("verify: an absent operand has no buffer to check") {
  Program p = sample();
  dispatch(p).operands.push_back({});
  CHECK_NOTHROW(verify(p, target()));
}

TEST_CASE("check_hazards: each barrier, signal and wait that is taken out is missed") {
  for (const size_t without : {size_t(3), size_t(4)}) {
    Program p = sample();
    code(p).erase(code(p).begin() + ptrdiff_t(without));
    CHECK_NOTHROW(verify(p, target()));
    CHECK_THROWS_WITH_AS(check_hazards(p), doctest::Contains("with no order between them"), Error);
  }
  Program wrong_queue = sample();  // the wait stands on the queue that has the order already
  code(wrong_queue)[4].queue = Queue::in;
  CHECK_THROWS_AS(check_hazards(wrong_queue), Error);
}

TEST_CASE("dump: every command on a line of its own, with the role of its queue") {
  const std::string text = dump(sample());
  for (const char* line : {"  compute fill 0:0+256  # zero\n", "  in copy 1:0+256 to 0:256+256  # fetch\n",
                           "  in signal 7\n", "  compute barrier\n", "  compute wait 7\n",
                           "  compute add( f32 (64) at 0:0+256 f32 (64) at 0:256+256 write f32 (64) at 0:512+256 "
                           "workspace 0:2048+100 )  # sum\n"}) {
    INFO(line);
    CHECK(text.find(line) != std::string::npos);
  }
}

TEST_CASE("verify: an instruction of some submissions alone stands in micro_step, and orders no queues") {
  const auto says = [](const std::function<void(Program&)>& plant) {
    return error_of(plant).find("expected in each") != std::string::npos;
  };
  CHECK(error_of([](Program& p) { code(p)[0].when = When::first; }).empty());
  for (const size_t order : {2, 3, 4}) CHECK(says([&](Program& p) { code(p)[order].when = When::last; }));
  CHECK(says([](Program& p) {
    p.ranges[size_t(Range::update)] = {code(p)[0]};
    p.ranges[size_t(Range::update)][0].when = When::later;
  }));
}

TEST_CASE("schedule: ranges with instructions, in order; micro-steps are told apart where an instruction does") {
  const auto text = [](const Program& p, uint32_t accumulation) {
    std::string all;
    for (const auto& [turn, times] : schedule_of(p, accumulation))
      all += fmt::format("{}{}{} {}, ", name_of(turn.range), turn.first ? "" : " later", turn.last ? "" : " not last",
                         times);
    return all;
  };
  Program p = sample();
  CHECK(text(p, 5) == "micro_step 5, ");
  p.ranges[size_t(Range::begin)] = p.ranges[size_t(Range::update)] = {code(p)[0]};
  p.ranges[size_t(Range::evaluate)] = {code(p)[0]};
  CHECK(text(p, 1) == "begin 1, micro_step 1, update 1, ");
  code(p)[0].when = When::later;
  CHECK(text(p, 1) == "begin 1, micro_step 1, update 1, ");
  CHECK(text(p, 2) == "begin 1, micro_step not last 1, micro_step later 1, update 1, ");
  CHECK(text(p, 5) == "begin 1, micro_step not last 1, micro_step later not last 3, micro_step later 1, update 1, ");
}

}  // namespace tandem
