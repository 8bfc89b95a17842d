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

}  // namespace

void StepProfile::run(Session& session, Range range) {
  const std::vector<double> seconds = session.executable().profile(range);
  const std::vector<Instruction>& code = session.program().range(range);
  if (seconds.size() != code.size())
    fail(Exit::device, "--profile", "this device cannot time its instructions; leave --profile out");
  for (size_t i = 0; i < code.size(); ++i) {
    events_.push_back({range, &code[i], clock_, seconds[i]});
    clock_ += seconds[i];
  }
}

std::string StepProfile::trace() const {
  Json list = Json::array();
  for (const Event& event : events_) {
    const Command& command = event.instruction->command;
    const std::string op = op_name(command);
    if (op == "order") continue;  // barriers, signals and waits take no time of their own
    const auto* dispatch = std::get_if<Dispatch>(&command);
    Json j{{"name", event.instruction->label.empty() ? op : event.instruction->label},
           {"cat", op},
           {"ph", "X"},
           {"ts", event.start * 1e6},
           {"dur", event.seconds * 1e6},
           {"pid", 0},
           {"tid", event.instruction->queue},
           {"args", dispatch ? arguments(*dispatch, rates_) : Json::object()}};
    j["args"]["range"] = name_of(event.range);
    list.push_back(std::move(j));
  }
  return Json{{"displayTimeUnit", "ms"}, {"traceEvents", std::move(list)}}.dump() + "\n";
}

}  // namespace tandem
