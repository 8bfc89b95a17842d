// A training step on a device, ready to run: what each rank of a run holds.
#pragma once

#include <memory>
#include <optional>

#include "core/plan/prediction.h"
#include "core/run/choices.h"
#include "core/run/inputs.h"
#include "core/run/plan_details.h"
#include "core/run/start_times.h"
#include "core/runtime/registry.h"
#include "core/step/step_runner.h"

namespace tandem {

// What was planned of an engine's step.
struct PlannedStep {
  MemoryPolicy policy;
  MemoryPlan memory;
  PlanDetails details;
  Rates rates;                           // unknown ones are 0
  std::optional<Prediction> prediction;  // none where the rates are not known
  Program program;                       // until it is loaded
};

struct Engine {
  World* world = nullptr;  // the other ranks; null: there are none
  DeviceInfo device;
  DevicePointer<Backend> backend;
  StepSpec spec;
  PlannedStep plan;
  std::unique_ptr<Session> session;
  std::unique_ptr<StepRunner> runner;
  KernelRecord kernels;
};

// Opens run.backend's device and plans a step for it, for which nothing is taken yet. A resumed run goes on with the
// LM-head chunks and kernels of its checkpoint. times: gets the stages. Of several ranks each opens its device.
// Exit::device, Exit::does_not_fit.
Engine open_engine(const RunConfig& config, const Registry& registry, const RunInputs& inputs, World* world,
                   StartTimes& times);

// Loads the Program that was planned; parameters are not yet written. All ranks run one Program, and the root chooses
// the kernels; what the backend ran before, a replay's layers below, is among those that are recorded.
void load_step(Engine& engine, const RunInputs& inputs, StartTimes& times);

// Writes the parameters: those of the model's and the adapter's files, or drawn.
void fill(Engine& engine, const RunConfig::Model& model, const RunInputs& inputs);
// Writes the state that the checkpoint holds, to the bit, and a frozen base as fill does.
void restore(Engine& engine, const RunConfig::Model& model, const RunInputs& inputs);

WorldRecord world_record(const Engine& engine);

// Bytes on the device, as allocated.
uint64_t device_memory(const Engine& engine);

}  // namespace tandem
