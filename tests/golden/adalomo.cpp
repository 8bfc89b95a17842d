// AdaLomo's update alone, on gradients that are given: against lomo-optim's (tests/reference/adalomo.py); parts of a
// stacked weight against the same matrices alone, padded ones against those without padding.
#include "tests/golden/updates.h"

namespace tandem::test {
namespace {

// What adalomo.py has.
constexpr uint32_t kSteps = 20, kGradients = 5;
constexpr double kRate = 5e-2;

OptimizerOptions options(ClipBy clip_by = ClipBy::step, double grad_clip = 1) {
  return {.kind = OptimizerKind::adalomo, .weight_decay = 0.1, .grad_clip = grad_clip, .clip_by = clip_by};
}

std::vector<ParameterSpec> matrices() {
  return {stacked("qkv", {{.name = "q", .shape = {132, 20}, .number = 4},
                          {.name = "k", .shape = {13, 20}, .number = 2},
                          {.name = "v", .shape = {13, 20}, .number = 9}}),
          stacked("wide", {{.name = "wide", .shape = {4, 260}, .number = 1}})};
}

// limit: NMSE of each stored tensor after all steps
void check_package(Backend& backend, Recipe recipe, double limit) {
  const TensorFile file(case_path("adalomo/golden.safetensors"));
  const Precision precision{.recipe = recipe, .gradient = DType::f32, .master = recipe != Recipe::fp32};
  for (const std::vector<ParameterSpec>& specs : {matrices(), {vector_spec("norm", 16)}}) {
    Updates updates(backend, options(), precision, specs);
    const std::string suffix = precision.master ? ".master" : "";
    for (const ParameterSpec& spec : specs)
      for (const std::string& binding : {spec.name, spec.name + suffix})
        updates.write(binding, floats_of_parts(file, spec, ""));
    for (uint32_t s = 0; s < kSteps; ++s) {
      for (const ParameterSpec& spec : specs)
        updates.write(spec.name + ".gradient", floats_of_parts(file, spec, "", s % kGradients));
      updates.step(s, kRate);
      CHECK(updates.report().updates == s + 1);
    }
    for (const ParameterSpec& spec : specs) {
      const std::vector<float> trained = updates.values(spec.name + suffix);
      for (const StoredTensor& part : spec.parts) {
        CAPTURE(part.name);
        const auto first = trained.begin() + ptrdiff_t(part.first);
        CHECK(nmse({first, first + ptrdiff_t(part.shape.count())}, floats_of(file, part.name + ".after")) < limit);
      }
    }
  }
}

ON_EXECUTORS("adalomo trains as lomo-optim's, in f32", check_package, Recipe::fp32, 1e-6)
ON_EXECUTORS("adalomo trains as lomo-optim's, with masters", check_package, Recipe::bf16, 1e-6)

void check_stacked(Backend& backend, ClipBy clip_by, double grad_clip, uint64_t rows) {
  check_stacked_as_alone(backend, options(clip_by, grad_clip), {.recipe = Recipe::bf16}, kRate, rows);
}

ON_EXECUTORS("adalomo updates q, k and v stacked as it does each alone", check_stacked, ClipBy::step, 0, 13)
ON_EXECUTORS("adalomo updates q, k and v stacked as it does each alone, clipped by tensor", check_stacked,
             ClipBy::tensor, 0.02, 14)

// Rows and columns that pad a matrix have no part in any mean, and stay zeros.
void check_padded(Backend& backend) {
  constexpr uint64_t kRows = 13, kColumns = 20, kPlaceRows = 16, kPlaceColumns = 24;
  const ParameterSpec plain = stacked("w", {{.name = "w", .shape = {kRows, kColumns}, .number = 3}});
  ParameterSpec padded = stacked("w", {{.name = "w", .shape = {kPlaceRows, kPlaceColumns}, .number = 3}});
  padded.parts[0].shape = {kRows, kColumns};
  const Precision f32{.recipe = Recipe::fp32, .gradient = DType::f32};
  Updates one(backend, options(), f32, {plain}), other(backend, options(), f32, {padded});
  const auto fill = [&](const std::string& binding, uint32_t seed) {
    std::vector<float> values(kRows * kColumns), wider(kPlaceRows * kPlaceColumns);
    for (uint32_t i = 0; i < values.size(); ++i) {
      values[i] = float(int32_t(abi::philox(seed, 0, i, 0, 0, 0).word[0])) * 0x1p-34f;
      wider[i / kColumns * kPlaceColumns + i % kColumns] = values[i];
    }
    one.write(binding, values);
    other.write(binding, wider);
  };
  fill("w", 1);
  for (uint32_t s = 0; s < 5; ++s) {
    fill("w.gradient", 2 + s);
    one.step(s, kRate);
    other.step(s, kRate);
  }
  const std::vector<float> expected = one.values("w"), made = other.values("w");
  std::vector<float> inside;
  for (uint64_t i = 0; i < made.size(); ++i) {
    const bool is_padding = i / kPlaceColumns >= kRows || i % kPlaceColumns >= kColumns;
    if (is_padding) CHECK(made[i] == 0);
    else inside.push_back(made[i]);
  }
  CHECK(nmse(inside, expected) < 1e-12);
}

ON_EXECUTORS("adalomo sees nothing of what pads a matrix", check_padded)

}  // namespace
}  // namespace tandem::test
