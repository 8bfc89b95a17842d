#include "core/program/program.h"

#include <algorithm>

#include "core/base/overloaded.h"
#include "core/program/accesses.h"

namespace tandem {

const Binding* Program::find(std::string_view name) const {
  for (const Binding& b : bindings)
    if (b.name == name) return &b;
  return nullptr;
}

const Binding& Program::binding(std::string_view name) const {
  const Binding* found = find(name);
  TANDEM_CHECK(found != nullptr, "the program has no binding {}", name);
  return *found;
}

std::string name_of(const Instruction& instruction) {
  const std::string_view kind = std::visit(
      overloaded{[](const Dispatch& d) { return name_of(d.op); }, [](const Fill&) { return std::string_view("fill"); },
                 [](const Copy&) { return std::string_view("copy"); },
                 [](const Collective& c) { return name_of(c.kind); },
                 [](const Barrier&) { return std::string_view("barrier"); },
                 [](const Signal&) { return std::string_view("signal"); },
                 [](const Wait&) { return std::string_view("wait"); }},
      instruction.command);
  return fmt::format("{}{}{}", kind, instruction.label.empty() ? "" : " of ", instruction.label);
}

Descs descs_of(const Dispatch& dispatch) {
  Descs descs;
  for (const Operand& o : dispatch.operands) descs.push_back(o.desc);
  return descs;
}

Program for_rank(Program program, uint32_t rank) {
  const auto resolve = [&](BufferRef& b) {
    b.offset += rank * b.rank_stride;
    b.rank_stride = 0;
  };
  program.rank = rank;
  for (Binding& binding : program.bindings) resolve(binding.buffer);
  for (std::vector<Instruction>& range : program.ranges)
    for (Instruction& instruction : range)
      std::visit(overloaded{[&](Dispatch& d) {
                              for (Operand& o : d.operands) resolve(o.buffer);
                              resolve(d.workspace);
                            },
                            [&](Fill& f) { resolve(f.buffer); },
                            [&](Copy& c) {
                              resolve(c.from);
                              resolve(c.to);
                            },
                            [&](Collective& c) {
                              for (Part& part : c.from) resolve(part.buffer);
                              for (BufferRef& to : c.to) resolve(to);
                            },
                            [](Barrier&) {}, [](Signal&) {}, [](Wait&) {}},
                 instruction.command);
  return program;
}

const Collective* exchange_of(const Instruction& instruction) {
  using Found = const Collective*;
  return std::visit(
      overloaded{[](const Dispatch&) { return Found(nullptr); }, [](const Fill&) { return Found(nullptr); },
                 [](const Copy&) { return Found(nullptr); }, [](const Collective& c) { return &c; },
                 [](const Barrier&) { return Found(nullptr); }, [](const Signal&) { return Found(nullptr); },
                 [](const Wait&) { return Found(nullptr); }},
      instruction.command);
}

std::map<uint32_t, Queue> signal_queues(const std::vector<Instruction>& code) {
  std::map<uint32_t, Queue> queues;
  for (const Instruction& i : code)
    if (const auto* signal = std::get_if<Signal>(&i.command)) queues[signal->id] = i.queue;
  return queues;
}

bool has_exchange(const Program& program) {
  return std::ranges::any_of(program.ranges, [](const std::vector<Instruction>& range) {
    return std::ranges::any_of(range, [](const Instruction& i) { return exchange_of(i) != nullptr; });
  });
}

bool has_turns(const Program& program, Range range) {
  return std::ranges::any_of(program.range(range), [](const Instruction& i) { return i.when != When::each; });
}

std::vector<Turns> schedule_of(const Program& program, uint32_t accumulation) {
  const auto has = [&](Range range) { return !program.range(range).empty(); };
  std::vector<Turns> schedule;
  if (has(Range::begin)) schedule.push_back({Range::begin});
  if (has(Range::micro_step)) {
    if (accumulation == 1 || !has_turns(program, Range::micro_step)) {
      schedule.push_back({Range::micro_step, accumulation});
    } else {
      schedule.push_back({Turn(Range::micro_step, true, false)});
      if (accumulation > 2) schedule.push_back({Turn(Range::micro_step, false, false), accumulation - 2});
      schedule.push_back({Turn(Range::micro_step, false, true)});
    }
  }
  if (has(Range::update)) schedule.push_back({Range::update});
  return schedule;
}

std::vector<BufferAccess> accesses_of(const Instruction& instruction, uint32_t ranks) {
  std::vector<BufferAccess> accesses;
  const auto add = [&](const BufferRef& b, bool write, uint64_t stride) {
    accesses.push_back({b, write, b.bytes + (b.rank_stride + stride) * (ranks - 1)});
  };
  std::visit(overloaded{[&](const Dispatch& d) {
                          accesses.reserve(d.operands.size() + 1);
                          for (const Operand& o : d.operands)
                            if (o.desc.dtype != DType::none) add(o.buffer, o.access != Access::read, 0);
                          if (d.workspace.bytes > 0) add(d.workspace, true, 0);
                        },
                        [&](const Fill& f) { add(f.buffer, true, 0); },
                        [&](const Copy& c) {
                          accesses.reserve(2);
                          add(c.from, false, 0);
                          add(c.to, true, 0);
                        },
                        [&](const Collective& c) {
                          for (const Part& part : c.from) add(part.buffer, false, part.stride);
                          for (const BufferRef& to : c.to) add(to, true, 0);
                        },
                        [](const Barrier&) {}, [](const Signal&) {}, [](const Wait&) {}},
             instruction.command);
  return accesses;
}

bool conflict(const BufferAccess& a, const BufferAccess& b) {
  if (!(a.write || b.write) || a.buffer.arena != b.buffer.arena) return false;
  const bool one_rank = a.buffer.rank_stride == b.buffer.rank_stride && a.buffer.rank_stride > 0;
  const auto end = [&](const BufferAccess& x) { return one_rank ? x.buffer.offset + x.buffer.bytes : x.end(); };
  return a.buffer.offset < end(b) && b.buffer.offset < end(a);
}

bool conflict(const std::vector<BufferAccess>& a, const std::vector<BufferAccess>& b) {
  for (const BufferAccess& x : a)
    for (const BufferAccess& y : b)
      if (conflict(x, y)) return true;
  return false;
}

}  // namespace tandem
