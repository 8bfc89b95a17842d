#include "core/program/verify.h"

#include <algorithm>
#include <map>
#include <set>

#include "core/base/overloaded.h"
#include "core/program/accesses.h"

namespace tandem {
namespace {

// By queue, how many of its instructions (by position in the range) are known to be done.
using Clock = std::array<uint32_t, kQueueCount>;

void join(Clock& into, const Clock& from) {
  for (size_t queue = 0; queue < kQueueCount; ++queue) into[queue] = std::max(into[queue], from[queue]);
}

class HazardCheck {
 public:
  HazardCheck(Range range, uint32_t ranks) : range_(range), ranks_(ranks) {}

  void visit(uint32_t position, const Instruction& instruction) {
    const size_t queue = size_t(instruction.queue);
    Clock& clock = clocks_[queue];
    const auto order = [&](const auto& learn) {
      learn();
      std::erase_if(recorded_, [&](const Recorded& r) { return known_to_all(r); });
    };
    std::visit(overloaded{[&](const Dispatch&) { record(position, instruction); },
                          [&](const Fill&) { record(position, instruction); },
                          [&](const Copy&) { record(position, instruction); },
                          [&](const Collective&) { record(position, instruction); },
                          [&](const Barrier&) { order([&] { clock[queue] = position; }); },
                          [&](const Signal& s) {
                            signalled_[s.id] = clock;
                            signalled_[s.id][queue] = position;
                          },
                          [&](const Wait& w) { order([&] { join(clock, signalled_[w.id]); }); }},
               instruction.command);
  }

 private:
  struct Recorded {
    size_t queue;
    uint32_t position;
    const Instruction* instruction;
    std::vector<BufferAccess> accesses;
  };

  bool known_to_all(const Recorded& r) const {
    return std::ranges::all_of(clocks_, [&](const Clock& clock) { return r.position < clock[r.queue]; });
  }

  void record(uint32_t position, const Instruction& instruction) {
    const Clock& clock = clocks_[size_t(instruction.queue)];
    Recorded now{size_t(instruction.queue), position, &instruction, accesses_of(instruction, ranks_)};
    for (const Recorded& earlier : recorded_)
      TANDEM_CHECK(earlier.position < clock[earlier.queue] || !conflict(earlier.accesses, now.accesses),
                   "range {}: instructions {} ({}) and {} ({}) touch the same bytes with no order between them",
                   name_of(range_), earlier.position, name_of(*earlier.instruction), position, name_of(instruction));
    recorded_.push_back(std::move(now));
  }

  Range range_;
  uint32_t ranks_;
  std::array<Clock, kQueueCount> clocks_{};  // by queue
  std::map<uint32_t, Clock> signalled_;      // by signal id
  std::vector<Recorded> recorded_;
};

void check_buffer(const Program& program, const Target& target, const BufferRef& b, uint64_t span,
                  std::string_view what) {
  TANDEM_CHECK(b.arena < program.arenas.size(), "{}: no arena {}", what, b.arena);
  const Arena& arena = program.arenas[b.arena];
  TANDEM_CHECK(b.offset <= arena.bytes && span <= arena.bytes - b.offset,
               "{}: bytes {}+{} lie outside arena {}, which has {}", what, b.offset, span, b.arena, arena.bytes);
  TANDEM_CHECK(b.offset % target.alignment == 0 && b.rank_stride % target.alignment == 0,
               "{}: offset {} or stride {} is not a multiple of {}", what, b.offset, b.rank_stride, target.alignment);
}

void check_overlaps(std::span<const BufferAccess> accesses, std::string_view what) {
  for (size_t i = 0; i < accesses.size(); ++i)
    for (size_t j = 0; j < i; ++j)
      TANDEM_CHECK(!conflict(accesses[i], accesses[j]), "{}: operands {} and {} overlap, and one of them is written",
                   what, j, i);
}

void check_operands(const Dispatch& dispatch, const Target& target, std::string_view what) {
  for (size_t i = 0; i < dispatch.operands.size(); ++i) {
    const Operand& o = dispatch.operands[i];
    if (o.desc.dtype == DType::none) continue;
    TANDEM_CHECK(o.buffer.bytes >= o.desc.bytes(), "{}: operand {} has {} bytes for {}", what, i, o.buffer.bytes,
                 o.desc);
    TANDEM_CHECK(o.buffer.bytes <= target.largest_operand, "{}: operand {} has {} bytes, the target's limit is {}",
                 what, i, o.buffer.bytes, target.largest_operand);
  }
  const uint64_t scratch = target.workspace(dispatch.op, dispatch.parameters, descs_of(dispatch));
  TANDEM_CHECK(dispatch.workspace.bytes >= scratch, "{}: a workspace of {} bytes, the target asks for {}", what,
               dispatch.workspace.bytes, scratch);
}

// What goes from ranks fits what comes to one, and overlaps it only as a rank's own part of it.
void check_exchange(const Program& program, const Collective& c, std::string_view what) {
  TANDEM_CHECK(program.ranks > 1, "{}: the program has one rank", what);
  TANDEM_CHECK(c.from.size() == c.to.size() && !c.to.empty(), "{}: {} parts to {} buffers", what, c.from.size(),
               c.to.size());
  for (size_t i = 0; i < c.to.size(); ++i) {
    const Part& from = c.from[i];
    const bool parts = c.kind == CollectiveKind::all_to_all, reduces = c.kind == CollectiveKind::all_reduce_max;
    const uint64_t expected = from.buffer.bytes * (reduces ? 1 : program.ranks);
    TANDEM_CHECK(c.to[i].bytes == expected && parts == (from.stride > 0),
                 "{}: parts of {} bytes, {} apart, to {} bytes", what, from.buffer.bytes, from.stride, c.to[i].bytes);
  }
}

// An all_gather may read a rank's own part of what it writes.
void check_overlaps(const Collective& c, std::span<const BufferAccess> accesses, std::string_view what) {
  const size_t items = c.to.size();
  const auto own_part = [&](size_t i, size_t j) {  // i: a buffer written
    return c.kind != CollectiveKind::all_to_all && i == j + items && c.from[j].buffer.arena == c.to[j].arena;
  };
  for (size_t i = items; i < accesses.size(); ++i)
    for (size_t j = 0; j < i; ++j)
      TANDEM_CHECK(own_part(i, j) || !conflict(accesses[i], accesses[j]),
                   "{}: buffers {} and {} overlap, and one of them is written", what, j, i);
}

// True if it does no more than to order others: a barrier, a signal, a wait.
bool is_order(const Instruction& instruction) {
  return std::visit(overloaded{[](const Dispatch&) { return false; }, [](const Fill&) { return false; },
                               [](const Copy&) { return false; }, [](const Collective&) { return false; },
                               [](const Barrier&) { return true; }, [](const Signal&) { return true; },
                               [](const Wait&) { return true; }},
                    instruction.command);
}

void verify(const Program& program, const Target& target, const Instruction& instruction, std::set<uint32_t>& signals) {
  const std::string what = name_of(instruction);
  const std::vector<BufferAccess> accesses = accesses_of(instruction, program.ranks);
  for (const BufferAccess& access : accesses) check_buffer(program, target, access.buffer, access.span, what);
  const auto computes = [&] {
    TANDEM_CHECK(instruction.queue == Queue::compute, "{} is on queue {}, expected compute", what,
                 name_of(instruction.queue));
  };
  std::visit(
      overloaded{[&](const Dispatch& d) {
                   computes();
                   check_overlaps(accesses, what);
                   check_operands(d, target, what);
                 },
                 [&](const Fill&) { computes(); },
                 [&](const Collective& c) {
                   check_exchange(program, c, what);
                   check_overlaps(c, accesses, what);
                 },
                 [&](const Copy& c) {
                   check_overlaps(accesses, what);
                   TANDEM_CHECK(c.from.bytes == c.to.bytes, "{}: {} bytes to {}", what, c.from.bytes, c.to.bytes);
                 },
                 [](const Barrier&) {}, [&](const Signal& s) { signals.insert(s.id); },
                 [&](const Wait& w) { TANDEM_CHECK(signals.contains(w.id), "wait {} comes before its signal", w.id); }},
      instruction.command);
}

}  // namespace

void verify(const Program& program, const Target& target) {
  TANDEM_CHECK(target.queues.contains(Queue::compute), "target {} has no queue that computes", target.name);
  TANDEM_CHECK(target.largest_chunk > 0 && target.largest_chunk <= target.largest_operand,
               "target {}: chunks of {} bytes, expected 1 to {}", target.name, target.largest_chunk,
               target.largest_operand);
  for (const Arena& arena : program.arenas)
    TANDEM_CHECK(arena.bytes <= target.largest_arena, "arena {} of {} bytes is over the target's {}", arena.name,
                 arena.bytes, target.largest_arena);
  for (const Binding& b : program.bindings)
    check_buffer(program, target, b.buffer, b.buffer.bytes, "binding " + b.name);
  for (size_t r = 0; r < kRangeCount; ++r) {
    std::set<uint32_t> signals;
    for (const Instruction& instruction : program.ranges[r]) {
      verify(program, target, instruction, signals);
      TANDEM_CHECK(instruction.when == When::each ||
                       ((Range(r) == Range::micro_step || Range(r) == Range::evaluate) && !is_order(instruction)),
                   "{} of {} runs in its {} submission alone, expected in each", name_of(instruction),
                   name_of(Range(r)), name_of(instruction.when));
    }
  }
}

void check_hazards(const Program& program) {
  for (size_t r = 0; r < kRangeCount; ++r) {
    HazardCheck check{Range(r), program.ranks};
    const std::vector<Instruction>& code = program.ranges[r];
    for (uint32_t i = 0; i < code.size(); ++i) check.visit(i, code[i]);
  }
}

}  // namespace tandem
