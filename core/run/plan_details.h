// What plan.json says of a planned step beside its arenas and kernels: where its seconds and its bytes go.
#pragma once

#include <string>
#include <vector>

#include "core/base/json.h"
#include "core/plan/byte_table.h"
#include "core/plan/planner.h"
#include "core/plan/policy_text.h"

namespace tandem {

// The copy of the state on the root's host from which a save is written while training goes on.
struct SaveCopy {
  uint64_t bytes = 0;
  uint64_t beside = 0, budget = 0;  // host bytes of all ranks there: planned, and what they may take; 0: no limit

  bool fits() const { return budget == 0 || beside + bytes <= budget; }
  std::string_view waits_for() const { return fits() ? "copy" : "disk"; }
};

// local_ranks: those of the root's host.
SaveCopy save_copy(const StepPlan& plan, const PlanRequest& request, uint32_t local_ranks);
std::string describe(const SaveCopy& copy);  // what a save waits for, and why

struct PlanDetails {
  bool timed = false;  // the device's rates are known; else seconds mean nothing
  ProgramCost cost, floor;
  std::vector<ByteRow> bytes;
  uint64_t device_budget = 0, host_budget = 0;  // 0: no limit
  Peak peak;
  std::vector<PolicyLine> policy;
  SaveCopy save;
};

// plan: with what was compiled; request: the plan's.
PlanDetails details_of(const StepPlan& plan, const PlanRequest& request, bool timed, uint32_t local_ranks);

// Where a run takes place: plan.json's environment.
struct Machine {
  std::string version, commit;  // Tandem's
  std::string driver;
  std::vector<std::string> libraries;
  std::string device;
  uint32_t processors = 0;
  uint64_t memory_bytes = 0;  // the host's
};

// Keys of plan.json: step_seconds, floor_seconds, exposed_copy_seconds, exposed_exchange_seconds (null where no rates
// are known), classes, bytes, budgets, peak, policy, save_copy_bytes, save_waits_for, environment.
Json json_of(const PlanDetails& details, const Machine& machine);

// [{name, instructions, flops, bytes, seconds, floor_seconds}], a class per kind of cost that has instructions. floor:
// a step's with no policy; seconds are null where they are not known.
Json classes_json(const ProgramCost& cost, const ProgramCost& floor, bool has_seconds, bool has_floor);

}  // namespace tandem
