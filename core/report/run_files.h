// What stands in a run directory beside metrics.jsonl: each file read as far as it can be, and named where it cannot.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "core/base/json.h"

namespace tandem::report {

struct ConfigFile {
  std::string text;
  std::map<std::string, std::string> keys;  // "schedule.steps" to "1000"; empty where the text is not TOML
  std::optional<double> number(const std::string& key) const;
};

struct CostClass {
  std::string name;
  double seconds = 0, floor = 0;  // NaN: not known
};

struct ByteLine {
  std::string name;
  uint64_t device = 0, host = 0;
};

struct PlanFile {
  std::optional<double> step_seconds, floor_seconds, exposed_copy, exposed_exchange;
  std::vector<CostClass> classes;
  std::vector<ByteLine> bytes;
  uint64_t device_bytes = 0, host_bytes = 0, device_budget = 0, host_budget = 0;
  std::vector<std::pair<std::string, std::string>> policy, environment;
  struct Alive {
    std::string name, kind;
    std::optional<uint64_t> layer;
    uint64_t bytes = 0;
  };
  struct Peak {
    std::string range, label;
    uint64_t bytes = 0;
    std::vector<Alive> alive;
  };
  std::optional<Peak> peak;
};

struct ProfileFile {
  uint64_t step = 0;
  std::vector<CostClass> classes;
  std::optional<double> exposed_copy, exposed_exchange;  // seconds for which compute stood still
};

struct CheckpointEntry {
  uint64_t step = 0, bytes = 0;
  std::string fault;  // empty: its manifest reads
};

struct RunFiles {
  ConfigFile config;
  PlanFile plan;
  std::optional<ProfileFile> profile;
  std::vector<CheckpointEntry> checkpoints;  // ascending
  bool has_model = false;                    // model/ or adapter/ is there
  // Why a file says nothing: "plan.json: it is not there"; empty: it does.
  std::string config_fault, plan_fault, profile_fault;
};

// directory: a run's. trace: a file of train --profile, in place of the run's profile.json; empty: none. Exit::input
// for a malformed trace, and for nothing else.
RunFiles read_run_files(const std::string& directory, const std::string& trace);

}  // namespace tandem::report
