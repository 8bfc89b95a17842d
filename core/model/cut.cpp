#include "core/model/cut.h"

#include <algorithm>

#include "core/base/error.h"

namespace tandem {

ModelConfig whole(ModelConfig config) {
  config.layers += config.first_layer;
  config.first_layer = 0;
  return config;
}

ModelConfig layers_below(ModelConfig config, uint32_t layer) {
  TANDEM_CHECK(layer > 0 && layer < config.layers, "a cut below layer {} of {}", layer, config.layers);
  config.layers = layer;
  config.headless = true;
  return config;
}

ModelConfig layers_from(ModelConfig config, uint32_t layer) {
  TANDEM_CHECK(layer > 0 && layer < config.layers, "a cut below layer {} of {}", layer, config.layers);
  config.first_layer = layer;
  config.layers -= layer;
  return config;
}

Lora layers_from(Lora lora, uint32_t layer) {
  lora.modules.erase(lora.modules.begin(), lora.modules.begin() + std::min<size_t>(layer, lora.modules.size() - 1));
  return lora;
}

}  // namespace tandem
