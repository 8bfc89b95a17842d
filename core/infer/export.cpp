#include "core/infer/export.h"

#include "core/model/model_directory.h"
#include "core/model/model_source.h"
#include "core/run/checkpoint.h"
#include "core/run/settings.h"

namespace tandem {

void export_checkpoint(const std::string& path, const std::string& out) {
  const Checkpoint checkpoint(path);
  const Manifest& manifest = checkpoint.manifest();
  const RunConfig config = parse_config(manifest.config, path + "/manifest.json", {});
  const std::string model_config = config.model.path + "/config.json";
  if (manifest.inputs.empty() || input_file(model_config).hash != manifest.inputs[0].hash)
    fail(Exit::input, model_config, "is not the one that {} was trained with; restore it", path);
  const ModelSource model = open_model(config.model.path);
  const Precision precision = precision_of(config);
  const auto read = [&](const ParameterSpec&, const StoredTensor& part) {
    return checkpoint.bytes(part.name, {precision.compute(), part.shape});
  };
  save_model(read, model, precision, out, false);
}

}  // namespace tandem
