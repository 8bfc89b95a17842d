// The golden cases in fp32 against the results of transformers and torch.
#include "tests/golden/run.h"

namespace tandem::test {
namespace {

const std::vector<std::string> kFp32 = {"--precision.recipe=fp32"};

void check_training(Backend& backend, const char* name) {
  const Golden golden(name);
  const RunConfig config = golden.config(kFp32);
  Run run(backend, golden.model, config);
  CHECK(relative_difference(run.evaluation_loss(), golden.values.at("eval_loss")) < 1e-5);
  const uint64_t steps = golden.values.at("steps");
  for (uint64_t s = 0; s < steps; ++s) {
    INFO(name, " step ", s + 1);
    const abi::StepReport report = run.step(s);
    CHECK(relative_difference(report.loss, golden.values.at("loss")[s]) < (s == 0 ? 1e-5 : 1e-4));
    CHECK(relative_difference(report.grad_norm, golden.values.at("grad_norm")[s]) < 1e-4);
    CHECK(learning_rate(config, s) ==
          doctest::Approx(golden.values.at("learning_rate")[s].get<double>()).epsilon(1e-12));
    CHECK(report.skipped == 0);
    CHECK(report.updates == s + 1);
    CHECK(report.step == s);
    if (s == 0) CHECK(worst_nmse(run, ".gradient", golden.directory + "/gradients.safetensors") < 1e-8);
  }
  CHECK(worst_nmse(run, "", golden.directory + "/after.safetensors") < 1e-7);
}

void check_generation(Backend& backend, const char* name) {
  const Golden golden(name);
  const TensorFile file(golden.directory + "/logits.safetensors");
  const Shape shape = file.info("logits").shape;  // (T, vocabulary)
  std::vector<float> expected(shape.count());
  file.read("logits", DType::f32, std::as_writable_bytes(std::span(expected)));

  const Precision fp32{.recipe = Recipe::fp32};
  const TokenFile tokens(golden.directory + "/train.bin");
  const std::vector<int32_t> prompt = golden.values.at("prompt"), greedy = golden.values.at("greedy");
  Generator generator(backend, golden.model, open_weights(golden.model), fp32,
                      uint32_t(std::max(shape[0], prompt.size() + greedy.size())));
  std::vector<float> logits;
  for (uint32_t t = 0; t < shape[0]; ++t) {
    const std::vector<float> row = generator.logits(tokens.token(t), t);
    logits.insert(logits.end(), row.begin(), row.end());
  }
  CHECK(nmse(logits, expected) < 1e-8);

  CHECK(generator.run(prompt, {.max_tokens = uint32_t(greedy.size())}) == greedy);
}

ON_EXECUTORS("qwen2 trains in fp32 as torch does", check_training, "qwen2")
ON_EXECUTORS("llama trains in fp32 as torch does", check_training, "llama")
ON_EXECUTORS("qwen3 trains in fp32 as torch does", check_training, "qwen3")
ON_EXECUTORS("qwen2 generates in fp32 as transformers does", check_generation, "qwen2")
ON_EXECUTORS("llama generates in fp32 as transformers does", check_generation, "llama")
ON_EXECUTORS("qwen3 generates in fp32 as transformers does", check_generation, "qwen3")

}  // namespace
}  // namespace tandem::test
