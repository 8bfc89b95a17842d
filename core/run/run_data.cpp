#include "core/run/run_data.h"

#include "core/data/tokenizer.h"
#include "core/model/model_source.h"

namespace tandem {
namespace {

// data.document_end, or with "auto" the tokenizer's end token, or else the model's
int32_t document_end(const RunConfig& config, const ModelSource& model) {
  if (config.data.document_end) return int32_t(*config.data.document_end);
  if (const auto end = end_token(model.path, model.config.vocabulary)) return *end;
  if (model.config.eos_ids.empty())
    fail(Exit::configuration, "data.document_end", "auto finds no end token in {}; give the token id", model.path);
  return int32_t(model.config.eos_ids.front());
}

LoaderOptions loader_options(const RunConfig& config, const ModelSource& model, const StepShape& shape) {
  const RunConfig::Data& d = config.data;
  LoaderOptions options{.sequence_length = shape.sequence_length,
                        .micro_batch = shape.micro_batch,
                        .accumulation = shape.accumulation,
                        .shuffle = d.shuffle,
                        .seed = d.seed,
                        .separate_documents = d.separate_documents};
  if (!d.separate_documents) return options;
  options.document_end = document_end(config, model);
  if (uint32_t(options.document_end) >= model.config.vocabulary)
    fail(Exit::configuration, "data.document_end", "token {} is outside the model's vocabulary of {}",
         options.document_end, model.config.vocabulary);
  return options;
}

}  // namespace

RunData open_data(const RunConfig& config, const ModelSource& model, const StepShape& shape) {
  warn_of_length("data.sequence_length", shape.sequence_length, model.config);
  const LoaderOptions options = loader_options(config, model, shape);
  RunData data;
  data.train = std::make_unique<Loader>(open_token_files(config.data.train, model.config.vocabulary), options);
  if (!config.data.eval.empty())
    data.eval = std::make_unique<EvalWindows>(open_token_files(config.data.eval, model.config.vocabulary), options);
  return data;
}

std::vector<InputFile> run_inputs(const RunConfig& config) {
  std::vector<InputFile> inputs{input_file(config.model.path + "/config.json")};
  for (const auto* list : {&config.data.train, &config.data.eval})
    for (const std::string& path : *list) inputs.push_back(input_file(path));
  return inputs;
}

}  // namespace tandem
