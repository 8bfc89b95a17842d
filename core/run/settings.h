// What a command needs before it runs a model: the model's config, its precision, and a session with the parameters in
// it.
#pragma once

#include <optional>

#include "core/model/model_directory.h"
#include "core/run/config.h"
#include "core/runtime/registry.h"
#include "core/runtime/session.h"
#include "core/step/compile_step.h"
#include "core/step/step_graph.h"

namespace tandem {

// a line on standard error
void warn(const std::string& text);

// of windows longer than the model's max_position_embeddings; key: the key or flag that says so
void warn_of_length(std::string_view key, uint64_t sequence_length, const ModelConfig& config);

// A model directory, read and checked.
struct ModelSource {
  std::string path;
  ModelConfig config;
};
ModelSource open_model(const std::string& path);
// Its weights, checked whole against its config: Exit::input, naming the tensor
ModelFiles open_weights(const ModelSource& model);

Precision precision_of(const RunConfig& config);
// recipe as a flag gives it, or the dtype of the stored weights when empty; Exit::configuration for another word
Precision precision_of(const std::string& recipe, const ModelFiles& weights);

// fp8 wants hidden, q and k/v widths, ffn and rows (micro_batch * T) divisible by 16: Exit::configuration naming the
// key
void check_fp8(const ModelConfig& config, const Precision& precision, uint64_t rows);
// the device can run the recipe: Exit::configuration proposing bf16
void check_recipe(const DeviceInfo& device, const Precision& precision);

// "fp32 on vulkan:0 (NAME)": where "auto" is asked for, what it took
std::string describe(const Precision& precision, const DeviceInfo& device);

// What [memory] asks for; "auto" asks for nothing.
MemoryPolicy policy_of(const RunConfig::Memory& memory);
// target with no more memory than [memory] allows
Target within_budget(Target target, const RunConfig::Memory& memory);

// shape with the LM-head chunks asked for, or else chosen; Exit::does_not_fit where an operand would have 2^32
// elements, naming the key and the most that fits
StepShape with_head_chunks(StepShape shape, const ModelConfig& config, const Precision& precision,
                           std::optional<uint32_t> chunks = {});

// Writes every parameter (and .master) of the session: from open_weights, or drawn from seed.
void load_parameters(Session& session, const ModelSource& model, const ModelFiles& weights, const Precision& precision);
void initialise_parameters(Session& session, const ModelSource& model, const Precision& precision, uint64_t seed);

// Writes a Hugging Face directory: beside, synced, then renamed to out. replace: one that is there, else
// Exit::configuration
void save_model(const ParameterReader& reader, const ModelSource& model, const Precision& precision,
                const std::string& out, bool replace);
// from the session's parameters, replacing
void save_model(const Session& session, const ModelSource& model, const Precision& precision, const std::string& out);

}  // namespace tandem
