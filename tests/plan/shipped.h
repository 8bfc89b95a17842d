// Requests of the shipped configurations.
#pragma once

#include <cstdlib>
#include <string>
#include <vector>

#include "core/model/model_source.h"
#include "core/plan/planner.h"
#include "core/rates/device_table.h"
#include "core/run/settings.h"

namespace tandem::test {

// What `tandem plan configs/NAME.toml --device DEVICE OVERRIDES` plans first.
inline PlanRequest shipped(const std::string& name, const std::string& device, std::vector<std::string> overrides) {
  const char* root = std::getenv("TANDEM_SOURCE_ROOT");
  const std::string source = std::string(root ? root : ".") + "/";
  const RunConfig config = load_config(source + "configs/" + name + ".toml", overrides);
  const ModelSource model = open_model(source + config.model.path);
  return plan_request(config, step_spec(config, model.config), load_device_table(device).target);
}

// The same with a batch that fills any card, unless the last of the overrides says another one.
inline PlanRequest shipped_full(const std::string& name, const std::string& device,
                                std::vector<std::string> overrides = {}) {
  if (overrides.empty() || !overrides.back().starts_with("--batch."))
    overrides.push_back(fmt::format("--batch.micro_batch={}", name == "qwen2.5-7b" ? 16 : 8));
  return shipped(name, device, overrides);
}

}  // namespace tandem::test
