#include <nlohmann/json.hpp>

#include "cli/checks.h"
#include "cli/commands.h"
#include "cli/output.h"
#include "cli/window_flags.h"
#include "core/infer/eval.h"

namespace tandem::cli {
namespace {

struct Options : EvalOptions {
  bool json = false;
};

Exit run(const Options& o, const Registry& registry) {
  const Evaluation e = evaluate_model(o, registry);
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
  command->add_option("--sequence-length", o->windows.sequence_length, "tokens of a window")
      ->required()
      ->transform(whole_number(1, 1 << 20));
  command->add_option("--adapter", o->adapter, "a LoRA adapter: a PEFT directory, or a checkpoint of a LoRA run");
  add_window_flags(*command, o->windows);
  add_format_flag(*command, o->format);
  command->add_option("--recipe", o->recipe, "fp32, bf16 or fp8; default: fp32 for f32 weights, else bf16");
  command->add_option("--micro-batch", o->micro_batch, "windows at a time")->transform(whole_number(1, 65536));
  command->add_option("--backend", o->backend, "auto, vulkan, cuda or BACKEND:N");
  command->add_flag("--json", o->json, "one JSON object on standard output");
  command->callback([&registry, &action, o] { action = [&registry, o] { return run(*o, registry); }; });
}

}  // namespace tandem::cli
