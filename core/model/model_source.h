// A model directory to read: its config, its weights, and the precision that they are used in.
#pragma once

#include "core/model/config.h"
#include "core/model/precision.h"
#include "core/model/weights.h"

namespace tandem {

struct ModelSource {
  std::string path;
  ModelConfig config;
};

// Reads and checks config.json: Exit::configuration or Exit::input; warns of keys that are not read.
ModelSource open_model(const std::string& path);
// The weights, checked whole against the config: Exit::input, naming the tensor.
ModelFiles open_weights(const ModelSource& model);

// recipe as a flag gives it, or the dtype of the stored weights when empty; Exit::configuration for another word
Precision precision_of(const std::string& recipe, const ModelFiles& weights);

}  // namespace tandem
