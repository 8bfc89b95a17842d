// A model cut below a layer into two, so that what leaves the lower one can be stored and replayed (docs/replay.md).
// Layers are counted anew in the upper one; names and numbers of its tensors stay the whole model's.
#pragma once

#include "core/model/lora.h"

namespace tandem {

ModelConfig whole(ModelConfig config);  // the model that the upper part is cut from

// layer: above 0, and one of the model's.
ModelConfig layers_below(ModelConfig config, uint32_t layer);
ModelConfig layers_from(ModelConfig config, uint32_t layer);

// Adapters of the upper one.
Lora layers_from(Lora lora, uint32_t layer);

}  // namespace tandem
