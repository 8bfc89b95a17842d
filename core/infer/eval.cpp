#include "core/infer/eval.h"

#include "core/base/message.h"
#include "core/data/file_pattern.h"
#include "core/infer/adapter.h"
#include "core/passes/compile.h"
#include "core/run/run_data.h"
#include "core/step/parameters.h"
#include "core/step/step_graph.h"

namespace tandem {

namespace {

Windows open_data(const EvalOptions& o, const ModelSource& model) {
  const TokenFiles files = open_token_files(files_of(o.data, "--data"), model.config.vocabulary, o.format);
  WindowOptions windows = o.windows;
  if (windows.separate()) windows.document_end = document_end_in({files}, model, windows.document_end);
  return open_windows(files, windows);
}

}  // namespace

Evaluation evaluate_model(const EvalOptions& options, const Registry& registry) {
  const ModelSource model = open_model(options.model);
  const ModelFiles weights = open_weights(model);
  const std::optional<AdapterDirectory> adapter = find_adapter(options.adapter, model.config);
  const Lora lora = adapter ? adapter->lora : Lora{};
  const Precision precision = precision_of(options.recipe, weights);
  const StepShape shape =
      with_head_chunks({options.micro_batch, 1, options.windows.sequence_length, 1}, model.config, precision);
  check_multiples(model.config, precision, shape.rows());
  warn_of_length("--sequence-length", options.windows.sequence_length, model.config);
  const Windows windows = open_data(options, model);

  const DeviceInfo device = registry.choose(options.backend);
  check_recipe(device, name_of(precision.recipe));
  write_message(fmt::format("tandem: {}\n", describe(name_of(precision.recipe), device)));
  const DevicePointer<Backend> backend = registry.open(device);
  Session session(
      *backend,
      compile_to_run(build_evaluation_graph(model.config, precision, shape, lora), backend->target()).program);
  load_parameters(session, model, weights);
  if (adapter) load_adapter(session, *adapter, adapter_specs(model.config, lora));
  StepRunner runner(session, shape, rope_table(model.config, shape.sequence_length));
  return evaluate(runner, windows);
}

}  // namespace tandem
