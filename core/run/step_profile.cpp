#include "core/run/step_profile.h"

#include "core/base/json.h"

namespace tandem {
namespace {

std::string op_name(const Command& command) {
  if (const auto* dispatch = std::get_if<Dispatch>(&command)) return std::string(name_of(dispatch->op));
  if (std::holds_alternative<Fill>(command)) return "fill";
  return std::holds_alternative<Copy>(command) ? "copy" : "order";
}

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

Json event(Range range, const Instruction& instruction, double start, double seconds, const Rates& rates) {
  const std::string op = op_name(instruction.command);
  const auto* dispatch = std::get_if<Dispatch>(&instruction.command);
  Json j{{"name", instruction.label.empty() ? op : instruction.label},
         {"cat", op},
         {"ph", "X"},
         {"ts", start * 1e6},
         {"dur", seconds * 1e6},
         {"pid", 0},
         {"tid", instruction.queue},
         {"args", dispatch ? arguments(*dispatch, rates) : Json::object()}};
  j["args"]["range"] = name_of(range);
  return j;
}

}  // namespace

std::string trace_of(const Program& program, std::span<const RangeTimes> times, const Rates& rates) {
  Json list = Json::array();
  double clock = 0;  // seconds
  for (const RangeTimes& range : times)
    for (size_t i = 0; i < range.seconds.size(); ++i) {
      const Instruction& instruction = program.range(range.range)[i];
      // barriers, signals and waits take no time of their own
      if (op_name(instruction.command) != "order")
        list.push_back(event(range.range, instruction, clock, range.seconds[i], rates));
      clock += range.seconds[i];
    }
  return Json{{"displayTimeUnit", "ms"}, {"traceEvents", std::move(list)}}.dump() + "\n";
}

}  // namespace tandem
