// The token files of a run, for training and evaluation.
#pragma once

#include "core/data/loader.h"
#include "core/model/model_source.h"
#include "core/run/checkpoint.h"
#include "core/run/settings.h"
#include "core/step/step_graph.h"

namespace tandem {

struct RunData {
  std::unique_ptr<Loader> train;
  std::unique_ptr<EvalWindows> eval;  // nullptr: no evaluation
};

// Exit::input for a bad file, Exit::configuration when data.document_end is needed and "auto" finds none.
RunData open_data(const RunConfig& config, const ModelSource& model, const StepShape& shape);

// The files that decide the result: the model's config.json and the token files, hashed.
std::vector<InputFile> run_inputs(const RunConfig& config);

}  // namespace tandem
