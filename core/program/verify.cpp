#include "core/program/verify.h"

#include <algorithm>
#include <map>
#include <set>

#include "core/program/accesses.h"

namespace tandem {
namespace {

std::string describe(const Instruction& i) {
  const auto* d = std::get_if<Dispatch>(&i.command);
  return fmt::format("{} {}", d != nullptr ? name_of(d->op) : "copy or fill", i.label);
}

// For each queue, how many of its instructions (by position in the range) are known to be done.
using Clock = std::vector<uint32_t>;

void join(Clock& into, const Clock& from) {
  for (size_t queue = 0; queue < from.size(); ++queue) into[queue] = std::max(into[queue], from[queue]);
}

struct Recorded {
  uint32_t queue, position;
  const Instruction* instruction;
  std::vector<BufferAccess> accesses;
};

void check_hazards(Range range, const std::vector<Instruction>& code) {
  uint32_t queues = 0;
  for (const Instruction& i : code) queues = std::max(queues, i.queue + 1);
  std::vector<Clock> clocks(queues, Clock(queues));  // by queue
  std::map<uint32_t, Clock> signalled;               // by signal id
  std::vector<Recorded> recorded;
  const auto known_to_all = [&](const Recorded& r) {
    return std::ranges::all_of(clocks, [&](const Clock& clock) { return r.position < clock[r.queue]; });
  };
  for (uint32_t i = 0; i < code.size(); ++i) {
    const Instruction& instruction = code[i];
    Clock& clock = clocks[instruction.queue];
    if (std::holds_alternative<Barrier>(instruction.command)) clock[instruction.queue] = i;
    if (const auto* s = std::get_if<Signal>(&instruction.command)) {
      signalled[s->id] = clock;
      signalled[s->id][instruction.queue] = i;
    }
    if (const auto* w = std::get_if<Wait>(&instruction.command)) join(clock, signalled[w->id]);
    Recorded now{instruction.queue, i, &instruction, accesses_of(instruction)};
    if (now.accesses.empty()) {  // a barrier, signal or wait: more may be known
      std::erase_if(recorded, known_to_all);
      continue;
    }
    for (const Recorded& earlier : recorded)
      TANDEM_CHECK(earlier.position < clock[earlier.queue] || !conflict(earlier.accesses, now.accesses),
                   "range {}: instructions {} ({}) and {} ({}) touch the same bytes with no order between them",
                   name_of(range), earlier.position, describe(*earlier.instruction), i, describe(instruction));
    recorded.push_back(std::move(now));
  }
}

void verify_buffer(const Program& program, const Target& target, const Instruction& i, const BufferRef& b) {
  TANDEM_CHECK(b.arena < program.arenas.size() && b.offset + b.bytes <= program.arenas[b.arena].bytes,
               "{}: bytes {}+{} lie outside arena {}", describe(i), b.offset, b.bytes, b.arena);
  TANDEM_CHECK(b.offset % target.alignment == 0, "{}: offset {} is not a multiple of {}", describe(i), b.offset,
               target.alignment);
}

}  // namespace

void verify(const Program& program, const Target& target) {
  for (const Arena& arena : program.arenas)
    TANDEM_CHECK(arena.bytes <= target.largest_arena, "arena {} of {} bytes is over the target's {}", arena.name,
                 arena.bytes, target.largest_arena);
  for (const auto& range : program.ranges) {
    std::set<uint32_t> signals;
    for (const Instruction& i : range) {
      for (const BufferAccess& access : accesses_of(i)) verify_buffer(program, target, i, access.buffer);
      TANDEM_CHECK(i.queue < target.queues, "queue {} of {}", i.queue, target.queues);
      if (const auto* s = std::get_if<Signal>(&i.command)) signals.insert(s->id);
      if (const auto* w = std::get_if<Wait>(&i.command))
        TANDEM_CHECK(signals.contains(w->id), "wait {} comes before its signal", w->id);
    }
  }
}

void check_hazards(const Program& program) {
  for (size_t r = 0; r < kRangeCount; ++r) check_hazards(Range(r), program.ranges[r]);
}

std::string dump(const Program& program) {
  std::string text;
  for (uint32_t a = 0; a < program.arenas.size(); ++a)
    text += fmt::format("arena {} {} {} bytes\n", a, program.arenas[a].name, program.arenas[a].bytes);
  const auto at = [](const BufferRef& b) { return fmt::format("{}:{}+{}", b.arena, b.offset, b.bytes); };
  for (const Binding& b : program.bindings) text += fmt::format("binding {} {} at {}\n", b.name, b.desc, at(b.buffer));
  for (size_t r = 0; r < kRangeCount; ++r) {
    text += fmt::format("range {}\n", name_of(Range(r)));
    for (const Instruction& i : program.ranges[r]) {
      text += fmt::format("  q{} ", i.queue);
      if (const auto* d = std::get_if<Dispatch>(&i.command)) {
        text += fmt::format("{}(", name_of(d->op));
        for (const Operand& o : d->operands) {
          constexpr std::string_view kAccess[] = {"", "write ", "update "};
          text += o.desc.dtype == DType::none
                      ? std::string(" -")
                      : fmt::format(" {}{} at {}", kAccess[size_t(o.access)], o.desc, at(o.buffer));
        }
        text += " )";
      } else if (const auto* f = std::get_if<Fill>(&i.command)) {
        text += "fill " + at(f->buffer);
      } else if (const auto* c = std::get_if<Copy>(&i.command)) {
        text += fmt::format("copy {} to {}", at(c->from), at(c->to));
      } else if (const auto* s = std::get_if<Signal>(&i.command)) {
        text += fmt::format("signal {}", s->id);
      } else if (const auto* w = std::get_if<Wait>(&i.command)) {
        text += fmt::format("wait {}", w->id);
      } else {
        text += "barrier";
      }
      text += i.label.empty() ? "\n" : "  # " + i.label + "\n";
    }
  }
  return text;
}

}  // namespace tandem
