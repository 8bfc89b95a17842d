// bf16 and fp8 near fp32: near the golden losses, and near a longer run in fp32.
#include <cstdlib>

#include "tests/golden/run.h"

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

// A longer run on one case: a small constant rate, so that the recipes and not chaos set them apart.
void check_long_run(Backend& backend) {
  const Golden golden("qwen2");
  const char* full = std::getenv("TANDEM_FULL");
  const uint64_t steps = full != nullptr && *full == '1' ? 60 : 8;
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
