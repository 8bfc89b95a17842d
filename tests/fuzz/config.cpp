// Any bytes as a config.json: it is read, its output reads alike, or it is refused with an Error.
#include "core/model/config.h"

#include <cstdlib>

#include "core/base/error.h"
#include "core/model/weights.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto ignore = [](const std::string&) {};
  try {
    const tandem::ModelConfig config = tandem::parse_model_config(text, "config.json", ignore);
    if (config.layers <= 64) tandem::parameter_specs(config);
    tandem::rope_table(config, 4);
    const std::string out = tandem::rewrite_model_config(text, "config.json", tandem::DType::bf16);
    const tandem::ModelConfig again = tandem::parse_model_config(out, "config.json", ignore);
    if (again.rope != config.rope || again.hidden != config.hidden) std::abort();
  } catch (const tandem::Error& e) {
    if (e.exit() != tandem::Exit::configuration) throw;
  }
  return 0;
}
