// The token files of a run, for training and evaluation.
#pragma once

#include <memory>

#include "core/data/loader.h"
#include "core/model/model_source.h"
#include "core/run/checkpoint.h"
#include "core/run/settings.h"
#include "core/step/step_graph.h"

namespace tandem {

struct RunData {
  std::unique_ptr<Loader> train;
  std::unique_ptr<Windows> eval;  // nullptr: no evaluation
};

// Exit::input for a bad file, Exit::configuration where documents cannot be told apart.
RunData open_data(const RunConfig& config, const ModelSource& model, const StepShape& shape, uint32_t rank = 0);

// What a run says of its data at the start: a line, or one for each source of a mixture.
std::vector<std::string> describe_data(const RunConfig& config, const RunData& data, const StepShape& shape);

// end with the token of the model's tokenizer where it is automatic and a file does not say where documents start.
// Exit::configuration: a token outside the vocabulary.
DocumentEnd document_end_in(const std::vector<TokenFiles>& files, const ModelSource& model, DocumentEnd end);

// The files that decide the result: the model's config.json and the token files, hashed.
std::vector<InputFile> run_inputs(const RunConfig& config);

}  // namespace tandem
