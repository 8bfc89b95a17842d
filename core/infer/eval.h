// `tandem eval`: the mean loss of a model over token files.
#pragma once

#include "core/runtime/registry.h"
#include "core/step/evaluate.h"

namespace tandem {

struct EvalOptions {
  std::string model, data;  // a Hugging Face directory, a token file or a pattern of some
  std::string adapter;      // a PEFT directory, or a checkpoint of a LoRA run; empty: none
  std::string recipe;       // empty: by the dtype of the stored weights
  std::string backend = "auto";
  RawFormat format = RawFormat::none;
  WindowOptions windows;
  uint32_t micro_batch = 1;
};

// Every window once, in order. Exit codes as docs/formats.md has them for the command.
Evaluation evaluate_model(const EvalOptions& options, const Registry& registry);

}  // namespace tandem
