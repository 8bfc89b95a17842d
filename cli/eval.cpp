#include <nlohmann/json.hpp>

#include "cli/checks.h"
#include "cli/commands.h"
#include "cli/output.h"
#include "core/base/message.h"
#include "core/run/settings.h"
#include "core/step/evaluate.h"

namespace tandem::cli {
namespace {

struct Options {
  std::string model, data, recipe, backend = "auto";
  uint32_t sequence_length = 0, micro_batch = 1;
  bool json = false;
};

Exit run(const Options& o, const Registry& registry) {
  const ModelSource model = open_model(o.model);
  const ModelFiles weights = open_weights(model);
  const Precision precision = precision_of(o.recipe, weights);
  const StepShape shape = with_head_chunks({o.micro_batch, 1, o.sequence_length, 1}, model.config, precision);
  check_fp8(model.config, precision, shape.rows());
  warn_of_length("--sequence-length", o.sequence_length, model.config);
  const EvalWindows windows(open_token_files({o.data}, model.config.vocabulary),
                            {.sequence_length = o.sequence_length, .micro_batch = o.micro_batch});

  const DeviceInfo device = registry.choose(o.backend);
  check_recipe(device, precision);
  write_message(fmt::format("tandem: {}\n", describe(precision, device)));
  const std::unique_ptr<Backend> backend = registry.open(device);
  Session session(*backend, compile(build_evaluation_graph(model.config, precision, shape), backend->target()).program);
  load_parameters(session, model, weights, precision);
  StepRunner runner(session, shape, rope_table(model.config, shape.sequence_length));
  const Evaluation e = evaluate(runner, windows);
  const nlohmann::ordered_json j{{"loss", e.loss}, {"tokens", e.tokens}, {"sequences", e.sequences}};
  print(o.json ? j.dump() + "\n"
               : fmt::format("loss {:.6f} over {} tokens in {} sequences\n", e.loss, e.tokens, e.sequences));
  return Exit::ok;
}

}  // namespace

void add_eval(CLI::App& app, const Registry& registry, Action& action) {
  CLI::App* command =
      app.add_subcommand("eval", "Mean loss (nats a target) of a model over a token file, every window once");
  auto o = std::make_shared<Options>();
  command->add_option("--model", o->model, "a Hugging Face directory")->required();
  command->add_option("--data", o->data, "a token file; 'tandem data tokenize' makes one")->required();
  command->add_option("--sequence-length", o->sequence_length, "tokens of a window")
      ->required()
      ->transform(whole_number(1, 1 << 20));
  command->add_option("--recipe", o->recipe, "fp32, bf16 or fp8; default: fp32 for f32 weights, else bf16");
  command->add_option("--micro-batch", o->micro_batch, "windows at a time")->transform(whole_number(1, 65536));
  command->add_option("--backend", o->backend, "auto, vulkan, cuda or BACKEND:N");
  command->add_flag("--json", o->json, "one JSON object on standard output");
  command->callback([&registry, &action, o] { action = [&registry, o] { return run(*o, registry); }; });
}

}  // namespace tandem::cli
