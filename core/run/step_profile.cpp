#include "core/run/step_profile.h"

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
  Json j{{"operands", operands}, {"flops", cost.flops}, {"bytes", cost.bytes}};
  if (rates.known()) j["floor_us"] = cost_of(dispatch.op, dispatch.parameters, descs, rates).floor * 1e6;
  return j;
}

Json event(Range range, const Instruction& instruction, std::string_view category, double start, double seconds,
           Json arguments) {
  Json j{{"name", instruction.label.empty() ? std::string(category) : instruction.label},
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

}  // namespace

std::string trace_of(const Program& program, std::span<const RangeTimes> times, const Rates& rates) {
  Json list = Json::array();
  add_threads(list);
  double clock = 0;  // seconds
  for (const RangeTimes& range : times)
    for (size_t i = 0; i < range.seconds.size(); ++i) {
      const Instruction& instruction = program.range(range.range)[i];
      const auto add = [&](std::string_view category, Json arguments) {
        list.push_back(event(range.range, instruction, category, clock, range.seconds[i], std::move(arguments)));
      };
      // barriers, signals and waits take no time of their own
      std::visit(overloaded{[&](const Dispatch& d) { add(name_of(d.op), arguments(d, rates)); },
                            [&](const Fill&) { add("fill", Json::object()); },
                            [&](const Copy&) { add("copy", Json::object()); },
                            [&](const Collective& c) { add(name_of(c.kind), Json::object()); }, [](const Barrier&) {},
                            [](const Signal&) {}, [](const Wait&) {}},
                 instruction.command);
      clock += range.seconds[i];
    }
  return Json{{"displayTimeUnit", "ms"}, {"traceEvents", std::move(list)}}.dump() + "\n";
}

}  // namespace tandem
