#include "core/infer/adapter.h"

#include "core/base/file.h"
#include "core/run/checkpoint.h"

namespace tandem {

std::optional<AdapterDirectory> find_adapter(const std::string& path, const ModelConfig& config) {
  if (path.empty()) return {};
  if (file_exists(path + "/manifest.json") && Checkpoint(path).manifest().adapter_config.empty())
    fail(Exit::input, path, "is a checkpoint of a run that trained every parameter, expected one of a LoRA run");
  return open_adapter(path, config);
}

}  // namespace tandem
