// bf16 and fp8 near fp32: near the golden losses, and near a longer run in fp32.
#include <bit>

#include "core/abi/amax.h"
#include "core/abi/numeric.h"
#include "tests/golden/run.h"
#include "tests/support/full.h"

namespace tandem::test {
namespace {

void check_losses(Backend& backend, const char* name, const std::vector<std::string>& overrides, double tolerance) {
  const Golden golden(name);
  Run run(backend, golden.model, golden.config(overrides));
  const std::vector<double> losses = run.losses(golden.values.at("steps"));
  for (size_t s = 0; s < losses.size(); ++s) {
    INFO(name, " step ", s + 1, ": ", losses[s]);
    CHECK(relative_difference(losses[s], golden.values.at("loss")[s]) < tolerance);
  }
}

const std::vector<std::string> kBf16 = {"--precision.recipe=bf16"};
const std::vector<std::string> kFp8 = {"--precision.recipe=fp8"};
const std::vector<std::string> kMaster = {"--precision.recipe=bf16", "--optimizer.master_dtype=f32",
                                          "--precision.gradient_dtype=f32", "--optimizer.m_dtype=f32",
                                          "--optimizer.v_dtype=f32"};

ON_EXECUTORS("qwen2 in bf16 stays near the golden losses", check_losses, "qwen2", kBf16, 1e-2)
ON_EXECUTORS("llama in bf16 stays near the golden losses", check_losses, "llama", kBf16, 1e-2)
ON_EXECUTORS("qwen3 in bf16 stays near the golden losses", check_losses, "qwen3", kBf16, 1e-2)
// the other two cases have sizes that fp8 refuses
ON_EXECUTORS("qwen2 in fp8 stays near the golden losses", check_losses, "qwen2", kFp8, 3e-2)
ON_EXECUTORS("llama in bf16 with f32 masters stays near the golden losses", check_losses, "llama", kMaster, 1e-2)

// Counted again from the words that a micro-step leaves: SwiGLU guesses once forward and once backward per layer.
void check_scale_counts(Backend& backend) {
  const Golden golden("qwen2");
  Run run(backend, golden.model, golden.config({"--precision.recipe=fp8", "--batch.gradient_accumulation=1"}));
  const size_t guesses = 2 * golden.model.config.layers;
  CHECK(run.step(0).scale_guesses == 0);  // no micro-step was before it
  for (uint64_t s = 1; s < 4; ++s) {
    std::vector<uint32_t> words(run.session().desc("amax").shape.count());
    run.session().read("amax", std::as_writable_bytes(std::span(words)));
    uint32_t misses = 0;
    for (size_t at = words.size() - guesses * abi::kAmaxWords; at < words.size(); at += abi::kAmaxWords)
      misses += !abi::same_scale(words[at], words[at + abi::kAmaxGuess]);
    const abi::StepReport report = run.step(s);
    CHECK(report.scale_guesses == guesses);
    CHECK(report.scale_misses == misses);
    if (s == 1) CHECK(misses == guesses);  // by words that were still zero
  }
}
ON_EXECUTORS("an fp8 step counts the scales that it guessed, and the wrong ones", check_scale_counts)

// Masters start as the stored f32 weights and move on in f32; the parameters are their rounded copies.
void check_masters(Backend& backend) {
  const Golden golden("llama");
  Run run(backend, golden.model, golden.config(kMaster));
  const uint64_t steps = golden.values.at("steps");
  run.losses(steps);
  CHECK(worst_nmse(run, ".master", golden.directory + "/after.safetensors") < 1e-3);
  for (const ParameterSpec& spec : run.specs()) {
    REQUIRE(run.session().desc(spec.name).dtype == DType::bf16);
    const std::vector<float> parameter = run.values(spec.name), master = run.values(spec.name + ".master");
    size_t apart = 0;
    for (size_t i = 0; i < master.size(); ++i)
      apart += std::abs(double(parameter[i]) - master[i]) > std::ldexp(std::abs(double(master[i])), -7) ? 1 : 0;
    INFO(spec.name);
    CHECK(apart == 0);
    CHECK(parameter != master);
  }
}
ON_EXECUTORS("f32 masters follow the golden parameters, bf16 parameters follow the masters", check_masters)

// bf16 parameters after one update, made again from the stored f32 moments and the random bits of docs/numerics.md: the
// key is the seed, the counter (element / 4, tensor's number, step, 0), all counted in the stored tensor.
size_t wrongly_rounded(const Run& run, const ParameterSpec& spec, const std::vector<float>& before,
                       const RunConfig& config, uint32_t step) {
  const std::vector<float> after = run.values(spec.name), m = run.values(spec.name + ".m"),
                           v = run.values(spec.name + ".v");
  const OptimizerOptions& o = config.optimizer;
  const double rate = learning_rate(config, step), decay = spec.shape.rank() >= 2 ? o.weight_decay : 0;
  size_t wrong = 0;
  for (const StoredTensor& part : spec.parts) {
    for (uint64_t e = 0; e < part.place.count(); ++e) {
      const uint64_t i = part.first + e;
      const double root = std::sqrt(v[i] / (1 - o.beta2)) + o.epsilon;
      const float exact = float(before[i] * (1 - rate * decay) - rate * m[i] / (1 - o.beta1) / root);
      const uint32_t low = uint32_t(config.model.seed), high = uint32_t(config.model.seed >> 32);
      const uint32_t random = abi::philox(low, high, uint32_t(e / 4), part.number, step, 0).word[e % 4] & 0xffff;
      const uint32_t code = (std::bit_cast<uint32_t>(exact) + random) >> 16;
      wrong += std::bit_cast<uint32_t>(after[i]) >> 16 == code ? 0 : 1;
    }
  }
  return wrong;
}

void check_random_bits(Backend& backend, const char* name) {
  const Golden golden(name);
  const RunConfig config =
      golden.config({"--precision.recipe=bf16", "--optimizer.m_dtype=f32", "--optimizer.v_dtype=f32",
                     "--model.seed=81985529216486895", "--schedule.kind=constant"});
  Run run(backend, golden.model, config);
  std::vector<std::vector<float>> before;
  for (const ParameterSpec& spec : run.specs()) before.push_back(run.values(spec.name));
  const uint32_t step = 5;
  REQUIRE(run.step(run.batch(0), step).updates == 1);
  for (size_t i = 0; i < before.size(); ++i) {
    const ParameterSpec& spec = run.specs()[i];
    CAPTURE(spec.name);
    // a value within its last ulps of the threshold may go either way
    CHECK(double(wrongly_rounded(run, spec, before[i], config, step)) <= 1e-3 * double(spec.shape.count()) + 1);
  }
}
ON_EXECUTORS("qwen2 is rounded by the documented random bits", check_random_bits, "qwen2")
ON_EXECUTORS("llama is rounded by the documented random bits", check_random_bits, "llama")

// A longer run on one case: a small constant rate, so that the recipes and not chaos set them apart.
void check_long_run(Backend& backend) {
  const Golden golden("qwen2");
  const uint64_t steps = is_full() ? 60 : 8;
  const auto losses = [&](const char* recipe) {
    const std::vector<std::string> overrides = {fmt::format("--precision.recipe={}", recipe),
                                                "--schedule.kind=constant", "--schedule.steps=60"};
    return Run(backend, golden.model, golden.config(overrides)).losses(steps);
  };
  const std::vector<double> fp32 = losses("fp32"), bf16 = losses("bf16"), fp8 = losses("fp8");
  for (uint64_t s = 0; s < steps; ++s) {
    INFO("step ", s + 1, ": fp32 ", fp32[s], ", bf16 ", bf16[s], ", fp8 ", fp8[s]);
    CHECK(relative_difference(bf16[s], fp32[s]) < 1e-2);
    CHECK(relative_difference(fp8[s], fp32[s]) < 3e-2);
  }
  if (steps == 60) CHECK(fp32.back() < 0.9 * fp32.front());
}
ON_EXECUTORS("bf16 and fp8 stay near fp32", check_long_run)

}  // namespace
}  // namespace tandem::test
