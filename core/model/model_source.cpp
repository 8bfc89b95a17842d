#include "core/model/model_source.h"

#include "core/base/message.h"

namespace tandem {

ModelSource open_model(const std::string& path) {
  return {path, load_model_config(path, warn)};
}

ModelFiles open_weights(const ModelSource& model) {
  ModelFiles weights(model.path);
  check_parameters(weights, parameter_specs(model.config));
  return weights;
}

Precision precision_of(const std::string& recipe, const ModelFiles& weights) {
  std::string name = recipe;
  if (name.empty()) {
    const auto names = weights.names();
    name = !names.empty() && weights.info(names.front()).type == StoredType::f32 ? "fp32" : "bf16";
  }
  for (Recipe r : {Recipe::fp32, Recipe::bf16, Recipe::fp8})
    if (name == name_of(r)) return {.recipe = r};
  fail(Exit::configuration, "--recipe", "'{}' is unknown; use fp32, bf16 or fp8", name);
}

}  // namespace tandem
