#include "core/run/step_profile.h"

#include <algorithm>
#include <map>
#include <optional>

#include "core/base/json.h"
#include "core/base/overloaded.h"

namespace tandem {
namespace {

Json arguments(const Dispatch& dispatch, const Rates& rates) {
  const Descs descs = descs_of(dispatch);
  Json operands = Json::array();
  for (const TensorDesc& desc : descs)
    if (desc.dtype != DType::none) operands.push_back(fmt::format("{}", desc));
  const Cost cost = op_of(dispatch.op).cost(dispatch.parameters, descs);
  Json j{{"class", name_of(kind_of(dispatch.op, descs))},
         {"operands", operands},
         {"flops", cost.flops},
         {"bytes", cost.bytes}};
  if (rates.known()) {
    const InstructionCost c = cost_of(dispatch.op, dispatch.parameters, descs, rates);
    j["floor_us"] = c.floor * 1e6;
    j["predicted_us"] = c.seconds * 1e6;
  }
  return j;
}

Json event(Range range, const Instruction& instruction, std::string_view category, double start, double seconds,
           Json arguments) {
  Json j{{"name", instruction.label.empty() ? std::string(category) : instruction.label.text()},
         {"cat", category},
         {"ph", "X"},
         {"ts", start * 1e6},
         {"dur", seconds * 1e6},
         {"pid", 0},
         {"tid", size_t(instruction.queue)},
         {"args", std::move(arguments)}};
  j["args"]["range"] = name_of(range);
  return j;
}

// The queues' names, as viewers show them.
void add_threads(Json& list) {
  for (size_t q = 0; q < kQueueCount; ++q)
    list.push_back(
        {{"name", "thread_name"}, {"ph", "M"}, {"pid", 0}, {"tid", q}, {"args", {{"name", kQueueNames[q]}}}});
}

double end_of(std::span<const Interval> ran) {
  double end = 0;
  for (const Interval& interval : ran) end = std::max(end, interval.end);
  return end;
}

// What an instruction costs without seconds: its class, FLOPs and bytes; nullopt for one that takes no time.
std::optional<InstructionCost> work_of(const Instruction& instruction) {
  using Work = std::optional<InstructionCost>;
  return std::visit(overloaded{[](const Dispatch& d) {
                                 const Descs descs = descs_of(d);
                                 const Cost cost = op_of(d.op).cost(d.parameters, descs);
                                 return Work({kind_of(d.op, descs), cost.flops, cost.bytes});
                               },
                               [](const Fill& f) {
                                 return Work({CostKind::memory, 0, f.buffer.bytes});
                               },
                               [](const Copy& c) {
                                 return Work({CostKind::copy, 0, c.from.bytes});
                               },
                               [](const Collective& c) {
                                 uint64_t bytes = 0;
                                 for (const BufferRef& to : c.to) bytes += to.bytes;
                                 return Work({CostKind::exchange, 0, bytes});
                               },
                               [](const Barrier&) { return Work(); }, [](const Signal&) { return Work(); },
                               [](const Wait&) { return Work(); }},
                    instruction.command);
}

// Adds the time for which compute stood still.
void add_waits(ProgramCost& timed, const std::vector<Instruction>& code, std::span<const Interval> ran) {
  const std::map<uint32_t, Queue> givers = signal_queues(code);
  for (size_t i = 0; i < ran.size(); ++i) {
    const auto* wait = std::get_if<Wait>(&code[i].command);
    if (!wait || code[i].queue != Queue::compute) continue;
    (givers.at(wait->id) == Queue::exchange ? timed.exposed_exchange : timed.exposed_copy) += ran[i].seconds();
  }
}

}  // namespace

std::string profile_text(const Program& program, std::span<const TurnTimes> times, uint64_t step,
                         const PlanDetails& details) {
  ProgramCost timed;
  for (const auto& [turn, ran] : times) {
    timed.seconds += end_of(ran);
    add_waits(timed, program.range(turn.range), ran);
    for (size_t i = 0; i < ran.size(); ++i) {
      const Instruction& instruction = program.range(turn.range)[i];
      const auto work = work_of(instruction);
      if (!work || !turn.runs(instruction.when)) continue;
      KindCost& sum = timed.kinds[size_t(work->kind)];
      ++sum.instructions;
      sum.flops += work->flops;
      sum.bytes += work->bytes;
      sum.seconds += ran[i].seconds();
    }
  }
  return write_json({{"step", step},
                     {"seconds", timed.seconds},
                     {"exposed_copy_seconds", timed.exposed_copy},
                     {"exposed_exchange_seconds", timed.exposed_exchange},
                     {"classes", classes_json(timed, details.floor, true, details.timed)}});
}

std::string trace_of(const Program& program, std::span<const TurnTimes> times, const Rates& rates) {
  Json list = Json::array();
  add_threads(list);
  double clock = 0;  // seconds
  for (const auto& [turn, ran] : times) {
    const std::map<uint32_t, Queue> givers = signal_queues(program.range(turn.range));
    for (size_t i = 0; i < ran.size(); ++i) {
      const Instruction& instruction = program.range(turn.range)[i];
      if (!turn.runs(instruction.when)) continue;
      const auto add = [&](std::string_view category, Json arguments) {
        list.push_back(
            event(turn.range, instruction, category, clock + ran[i].start, ran[i].seconds(), std::move(arguments)));
      };
      std::visit(overloaded{[&](const Dispatch& d) { add(name_of(d.op), arguments(d, rates)); },
                            [&](const Fill&) {
                              add("fill", {{"class", name_of(CostKind::memory)}});
                            },
                            [&](const Copy&) {
                              add("copy", {{"class", name_of(CostKind::copy)}});
                            },
                            [&](const Collective& c) {
                              add(name_of(c.kind), {{"class", name_of(CostKind::exchange)}});
                            },
                            [&](const Wait& wait) {
                              add("wait", {{"for", name_of(givers.at(wait.id))}});
                            },
                            [](const Barrier&) {}, [](const Signal&) {}},
                 instruction.command);
    }
    clock += end_of(ran);
  }
  return Json{{"displayTimeUnit", "ms"}, {"traceEvents", std::move(list)}}.dump() + "\n";
}

}  // namespace tandem
