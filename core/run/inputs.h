// What a run reads, opened and checked before a device is.
#pragma once

#include <map>
#include <memory>
#include <optional>

#include "core/model/adapter_directory.h"
#include "core/model/model_source.h"
#include "core/run/checkpoint.h"
#include "core/run/choices.h"
#include "core/run/run_data.h"
#include "core/run/run_directory.h"
#include "core/runtime/world.h"
#include "core/step/step_spec.h"

namespace tandem {

// What the state starts from; large, and let go of once the session has it.
struct StartFiles {
  std::optional<ModelFiles> weights;        // none: they are drawn, or the checkpoint has them
  std::optional<AdapterDirectory> adapter;  // none: it is drawn, the checkpoint has it, or there is none
  std::optional<Checkpoint> checkpoint;     // to go on from
};

struct RunInputs {
  ModelSource model;
  StepSpec spec;                        // with the checkpoint's batch and LM-head chunks, or as configured
  uint32_t sequences = 0;               // a rank's per step, where the planner chooses the batch; 0: it is the spec's
  std::optional<uint32_t> head_chunks;  // the checkpoint's, of the same micro_batch
  std::vector<InputFile> files;         // they decide the result
  RunData data;
  StartFiles start;
  std::map<std::string, std::string> base;  // under adapters, xxh3 of the weights' tensors, which are frozen
  std::unique_ptr<RunDirectory> directory;  // the checkpoint's, locked
  ChoiceRules kernels;                      // the checkpoint's go first, or those that were asked for
};

// world: the ranks that open them together; null: there is one. The root alone locks the directory and verifies the
// bytes of a checkpoint.
// resume: from the newest checkpoint that verifies; Exit::input where there is none. choices: see read_choices; empty:
// none are asked for. Exit::configuration and Exit::input, naming the key or file, for what a run cannot be made of.
RunInputs open_inputs(const RunConfig& config, bool resume, const std::string& choices, World* world);

}  // namespace tandem
