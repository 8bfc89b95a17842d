// An adapter to use: a PEFT directory, or a checkpoint of a LoRA run, which is one too and is verified first.
#pragma once

#include <optional>

#include "core/model/adapter_directory.h"

namespace tandem {

// None for an empty path. Errors: those of open_adapter and Checkpoint.
std::optional<AdapterDirectory> find_adapter(const std::string& path, const ModelConfig& config);

}  // namespace tandem
