#include "core/run/plan_details.h"

#include <algorithm>

#include "core/base/size.h"
#include "core/run/saved_state.h"

namespace tandem {
namespace {

constexpr size_t kMostAlive = 20;  // values of the peak that are listed

Json seconds(double value, bool known) {
  return known ? Json(value) : Json();
}

Json bytes_json(const std::vector<ByteRow>& rows) {
  Json list = Json::array();
  for (const ByteRow& row : rows) list.push_back({{"name", row.name}, {"device", row.device}, {"host", row.host}});
  return list;
}

Json peak_json(const Peak& peak) {
  Json alive = Json::array();
  for (size_t i = 0; i < std::min(kMostAlive, peak.alive.size()); ++i) {
    const LiveValue& v = peak.alive[i];
    alive.push_back({{"name", v.name},
                     {"kind", name_of(v.kind)},
                     {"layer", v.layer == kNoLayer ? Json() : Json(v.layer)},
                     {"bytes", v.bytes}});
  }
  return {{"range", name_of(peak.range)}, {"label", peak.label}, {"bytes", peak.bytes}, {"alive", std::move(alive)}};
}

Json machine_json(const Machine& e) {
  return {{"version", e.version},          {"commit", e.commit}, {"driver", e.driver},
          {"libraries", e.libraries},      {"device", e.device}, {"processors", e.processors},
          {"memory_bytes", e.memory_bytes}};
}

}  // namespace

SaveCopy save_copy(const StepPlan& plan, const PlanRequest& request, uint32_t local_ranks) {
  const auto optimizer = make_optimizer(request.optimizer, request.precision);
  return {.bytes = state_bytes(plan.compiled->program, *optimizer, trainable_specs(request)),
          .beside = plan.chosen.host_bytes * local_ranks,
          .budget = request.target.host_memory_bytes * local_ranks};
}

std::string describe(const SaveCopy& copy) {
  if (copy.fits())
    return fmt::format("training goes on while they are written, from a copy of {} on the host", size_text(copy.bytes));
  return fmt::format("training waits for the disk: a copy of {} and the {} planned on the host are more than its {}",
                     size_text(copy.bytes), size_text(copy.beside), size_text(copy.budget));
}

PlanDetails details_of(const StepPlan& plan, const PlanRequest& request, bool timed, uint32_t local_ranks) {
  const std::vector<std::string> words = offload_words(request);
  return {.timed = timed,
          .cost = plan.chosen.cost,
          .floor = plan.floor,
          .bytes = byte_table(*plan.compiled, request.target, words),
          .device_budget = request.target.memory_bytes,
          .host_budget = request.target.host_memory_bytes,
          .peak = peak_of(*plan.compiled),
          .policy = describe(request, plan.chosen.policy),
          .save = save_copy(plan, request, local_ranks)};
}

Json classes_json(const ProgramCost& cost, const ProgramCost& floor, bool has_seconds, bool has_floor) {
  Json list = Json::array();
  for (size_t c = 0; c < kCostKindCount; ++c) {
    const KindCost& k = cost.kinds[c];
    if (k.instructions == 0) continue;
    list.push_back({{"name", name_of(CostKind(c))},
                    {"instructions", k.instructions},
                    {"flops", k.flops},
                    {"bytes", k.bytes},
                    {"seconds", seconds(k.seconds, has_seconds)},
                    {"floor_seconds", seconds(floor.kinds[c].floor, has_floor)}});
  }
  return list;
}

Json json_of(const PlanDetails& d, const Machine& machine) {
  Json policy = Json::array();
  for (const PolicyLine& line : d.policy) policy.push_back({{"name", line.name}, {"text", line.text}});
  return {{"step_seconds", seconds(d.cost.seconds, d.timed)},
          {"floor_seconds", seconds(d.floor.floor(), d.timed)},
          {"exposed_copy_seconds", seconds(d.cost.exposed_copy, d.timed)},
          {"exposed_exchange_seconds", seconds(d.cost.exposed_exchange, d.timed)},
          {"classes", classes_json(d.cost, d.floor, d.timed, d.timed)},
          {"bytes", bytes_json(d.bytes)},
          {"budgets", {{"device", d.device_budget}, {"host", d.host_budget}}},
          {"peak", peak_json(d.peak)},
          {"policy", std::move(policy)},
          {"save_copy_bytes", d.save.bytes},
          {"save_waits_for", d.save.waits_for()},
          {"environment", machine_json(machine)}};
}

}  // namespace tandem
