#include <nlohmann/json.hpp>

#include "cli/checks.h"
#include "cli/commands.h"
#include "cli/output.h"
#include "cli/token_list.h"
#include "core/base/message.h"
#include "core/base/utf8.h"
#include "core/data/text_stream.h"
#include "core/data/tokenizer.h"
#include "core/infer/adapter.h"
#include "core/infer/generate.h"
#include "core/model/model_source.h"

namespace tandem::cli {
namespace {

struct Options {
  std::string model, adapter, prompt, prompt_tokens, recipe, backend = "auto";
  Sampling sampling;
  bool no_bos = false, json = false;
};

std::vector<int32_t> parse_tokens(const std::string& text, uint32_t vocabulary) {
  std::vector<int32_t> tokens = parse_token_list(text, "--prompt-tokens");
  for (const int32_t token : tokens)
    if (uint32_t(token) >= vocabulary)
      fail(Exit::configuration, "--prompt-tokens", "token {} is outside the model's vocabulary of {}", token,
           vocabulary);
  return tokens;
}

std::vector<int32_t> encode_prompt(const Options& o, const ModelConfig& config, const Tokenizer& tokenizer) {
  if (!tokenizer.takes_any_bytes() && !is_utf8(o.prompt))
    fail(Exit::configuration, "--prompt", "is not valid UTF-8, which this tokenizer wants");
  std::vector<int32_t> prompt = tokenizer.encode(o.prompt);
  if (tokenizer.bos() && !o.no_bos) prompt.insert(prompt.begin(), *tokenizer.bos());
  for (const int32_t token : prompt)
    if (uint32_t(token) >= config.vocabulary)
      fail(Exit::input, o.model, "the tokenizer gives token {}, outside the model's vocabulary of {}", token,
           config.vocabulary);
  return prompt;
}

std::vector<int32_t> prompt_of(const Options& o, const ModelSource& model, const Tokenizer* tokenizer) {
  std::vector<int32_t> prompt = o.prompt_tokens.empty() ? encode_prompt(o, model.config, *tokenizer)
                                                        : parse_tokens(o.prompt_tokens, model.config.vocabulary);
  if (prompt.empty()) fail(Exit::configuration, "--prompt", "is empty; give at least one token");
  return prompt;
}

// The answer as text, while its tokens come; without a tokenizer as ids, in the end.
void print_answer(Generator& generator, const Options& o, const std::vector<int32_t>& prompt,
                  const Tokenizer* tokenizer) {
  if (tokenizer == nullptr) {
    print(fmt::format("{}\n", fmt::join(generator.run(prompt, o.sampling), ",")));
    return;
  }
  TextStream text(*tokenizer, prompt);
  print(o.prompt);
  generator.run(prompt, o.sampling, [&](int32_t token) { print(text.push(token)); });
  print(text.finish() + "\n");
}

void print_json(Generator& generator, const Options& o, const std::vector<int32_t>& prompt,
                const Tokenizer* tokenizer) {
  const std::vector<int32_t> tokens = generator.run(prompt, o.sampling);
  nlohmann::ordered_json j{{"tokens", tokens}, {"text", nullptr}};
  if (tokenizer != nullptr) j["text"] = answer_text(*tokenizer, prompt, tokens);
  print(j.dump() + "\n");
}

Exit run(const Options& o, const Registry& registry) {
  if (o.prompt.empty() == o.prompt_tokens.empty())
    fail(Exit::configuration, "generate", "give one of --prompt TEXT and --prompt-tokens 1,2,3");
  if (o.recipe == "fp8") fail(Exit::configuration, "--recipe", "generation runs in fp32 or bf16");
  const ModelSource model = open_model(o.model);
  const ModelFiles weights = open_weights(model);
  const std::optional<AdapterDirectory> adapter = find_adapter(o.adapter, model.config);
  const Precision precision = precision_of(o.recipe, weights);
  // ids need none
  const std::unique_ptr<Tokenizer> tokenizer =
      (o.prompt.empty() ? find_tokenizer : open_tokenizer)(o.model, model.config.vocabulary);
  const std::vector<int32_t> prompt = prompt_of(o, model, tokenizer.get());
  const uint32_t capacity = generation_capacity(model.config, prompt.size(), o.sampling.max_tokens);

  const DeviceInfo device = registry.choose(o.backend);
  check_recipe(device, name_of(precision.recipe));
  write_message(fmt::format("tandem: {}\n", describe(name_of(precision.recipe), device)));
  const DevicePointer<Backend> backend = registry.open(device);
  Generator generator(*backend, model, weights, precision, capacity, adapter);
  (o.json ? print_json : print_answer)(generator, o, prompt, tokenizer.get());
  return Exit::ok;
}

}  // namespace

void add_generate(CLI::App& app, const Registry& registry, Action& action) {
  CLI::App* command =
      app.add_subcommand("generate", "Continue a prompt; stops at an end-of-sequence token of the model");
  auto o = std::make_shared<Options>();
  command->add_option("--model", o->model, "a Hugging Face directory")->required();
  command->add_option("--adapter", o->adapter, "a LoRA adapter: a PEFT directory, or a checkpoint of a LoRA run");
  command->add_option("--prompt", o->prompt, "text");
  command->add_option("--prompt-tokens", o->prompt_tokens,
                      "token ids: 1,2,3; tandem data tokenize --prompt prints them");
  command->add_flag("--no-bos", o->no_bos, "without the token that the tokenizer puts in front of a text");
  command->add_option("--max-tokens", o->sampling.max_tokens, "at most so many new tokens (64)")
      ->transform(whole_number(1, 1 << 20));
  command
      ->add_option("--temperature", o->sampling.temperature, "0: the most likely token (default); 1: as the model says")
      ->transform(real_number(0, 100));
  command->add_option("--seed", o->sampling.seed, "of the random choice (1)")->transform(whole_number(0, UINT64_MAX));
  command->add_option("--recipe", o->recipe, "fp32 or bf16; default: fp32 for f32 weights, else bf16");
  command->add_option("--backend", o->backend, "auto, vulkan, cuda or BACKEND:N");
  command->add_flag("--json", o->json, "one JSON object on standard output");
  command->callback([&registry, &action, o] { action = [&registry, o] { return run(*o, registry); }; });
}

}  // namespace tandem::cli
