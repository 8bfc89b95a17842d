// A golden case, and training runs of it through the core library on one executor.
#pragma once

#include <doctest/doctest.h>

#include "core/base/json.h"
#include "core/infer/generate.h"
#include "core/run/schedule.h"
#include "core/run/settings.h"
#include "core/step/compile_step.h"
#include "core/step/evaluate.h"
#include "core/step/layers_below.h"
#include "core/step/parameters.h"
#include "tests/support/executors.h"

namespace tandem::test {

// A directory of tests/golden/cases, made by tests/golden/make.py, or, with an adapter on the base of another one, by
// tests/reference/lora.py.
struct Golden {
  explicit Golden(const std::string& name);

  std::string directory;
  ModelSource model;
  Json values;  // golden.json

  // the case's own configuration, changed by overrides such as "--precision.recipe=bf16"
  RunConfig config(const std::vector<std::string>& overrides = {}) const;
};
// A file of tests/golden/cases.
std::string case_path(const std::string& file);
constexpr const char* kGoldens[] = {"qwen2", "llama", "qwen3"};
constexpr const char* kLoraGoldens[] = {"lora-qwen2", "lora-llama", "lora-qwen3"};

// What a step reports, and the whole state's bits after it.
using State = std::vector<std::pair<std::string, std::vector<std::byte>>>;

// A rank's place in a run of several; none: one rank.
struct Rank {
  World* world = nullptr;
  Sharding sharding;
};

// A training run as `tandem train` makes it, without a run directory.
class Run {
 public:
  Run(Backend& backend, const ModelSource& model, const RunConfig& config, const MemoryPolicy& policy = {},
      const Rank& rank = {});

  abi::StepReport step(uint64_t s);                          // the loader's data
  abi::StepReport step(const StepBatch& batch, uint64_t s);  // this data's
  std::vector<double> losses(uint64_t steps);                // steps 0 .. steps-1
  double evaluation_loss();                                  // over the training data

  std::vector<float> values(const std::string& binding) const;
  State state() const;  // what trains: parameters, moments and masters, whole; of several ranks the root alone has them

  StepBatch batch(uint64_t s) const { return loader_->step(s); }
  StepRunner& runner() { return *runner_; }
  Session& session() { return *session_; }
  const std::vector<ParameterSpec>& specs() const { return specs_; }  // those that train
  const MemoryPlan& plan() const { return plan_; }

 private:
  RunConfig config_;
  World* world_;
  std::vector<ParameterSpec> specs_;
  std::unique_ptr<Loader> loader_;
  std::unique_ptr<Windows> eval_;
  MemoryPlan plan_;
  std::unique_ptr<Session> session_;
  std::unique_ptr<StepRunner> runner_;
};

// sum (candidate - reference)^2 / sum reference^2
double nmse(const std::vector<float>& candidate, const std::vector<float>& reference);
double relative_difference(double candidate, double reference);
// the largest over all stored tensors of the file, against the bindings named as their parameters with suffix behind
double worst_nmse(const Run& run, const std::string& suffix, const std::string& safetensors);

}  // namespace tandem::test
