// Gradients clipped by tensor and by the norm of the step before, against torch (tests/reference/released.py);
// gradients released in the backward pass change no bit.
#include "tests/golden/updates.h"

namespace tandem::test {
namespace {

// What released.py has.
constexpr uint32_t kSteps = 20, kGradients = 5;
constexpr double kRate = 1e-2;

OptimizerOptions clipped_by(ClipBy clip_by) {
  OptimizerOptions options{.weight_decay = 0.1, .grad_clip = 1, .clip_by = clip_by};
  options.beta1 = 0.9;
  options.beta2 = 0.95;
  options.epsilon = 1e-8;
  return options;
}

std::vector<ParameterSpec> trained() {
  const ParameterSpec qkv = stacked(
      "qkv", {{.name = "q", .shape = {24, 16}}, {.name = "k", .shape = {8, 16}}, {.name = "v", .shape = {8, 16}}});
  return {qkv, vector_spec("norm", 16)};
}

void check_torch(Backend& backend, ClipBy clip_by, const std::string& kind) {
  const TensorFile file(case_path("released/golden.safetensors"));
  const Precision f32{.recipe = Recipe::fp32, .gradient = DType::f32, .m = DType::f32, .v = DType::f32};
  const std::vector<ParameterSpec> specs = trained();
  Updates updates(backend, clipped_by(clip_by), f32, specs);
  for (const ParameterSpec& spec : specs) updates.write(spec.name, floats_of_parts(file, spec, "clip."));
  for (uint32_t s = 0; s < kSteps; ++s) {
    for (const ParameterSpec& spec : specs)
      updates.write(spec.name + ".gradient", floats_of_parts(file, spec, "clip.", s % kGradients));
    updates.step(s, kRate);
    CHECK(updates.report().skipped == 0);
    CHECK(updates.report().updates == s + 1);
    CHECK(updates.report().skipped_tensors == (s % kGradients == 2 ? 1 : 0));
    CHECK(std::isfinite(updates.report().grad_norm) == (s % kGradients != 2));
  }
  for (const ParameterSpec& spec : specs) {
    CAPTURE(spec.name);
    CHECK(nmse(updates.values(spec.name), floats_of_parts(file, spec, kind + ".")) < 1e-6);
  }
}

ON_EXECUTORS("adamw of gradients clipped by tensor trains as torch's", check_torch, ClipBy::tensor, "tensor")
ON_EXECUTORS("adamw of gradients clipped by the last norm trains as torch's", check_torch, ClipBy::previous, "previous")

// Lomo clips by the norm of all, which a pass of its own takes; its gradients are finite.
void check_lomo(Backend& backend) {
  const TensorFile file(case_path("released/golden.safetensors"));
  const ParameterSpec qkv = trained()[0];
  OptimizerOptions options{.kind = OptimizerKind::sgd, .weight_decay = 0.1, .grad_clip = 1};
  Updates updates(backend, options, {.recipe = Recipe::fp32, .gradient = DType::f32}, {qkv});
  updates.write("qkv", floats_of_parts(file, qkv, "clip."));
  for (uint32_t s = 0; s < kSteps; ++s) {
    std::vector<float> gradient = floats_of_parts(file, qkv, "clip.", s % kGradients);
    for (float& g : gradient) g = std::isfinite(g) ? g : 0;
    updates.write("qkv.gradient", gradient);
    updates.step(s, kRate);
  }
  CHECK(nmse(updates.values("qkv"), floats_of_parts(file, qkv, "lomo.")) < 1e-6);
}

ON_EXECUTORS("sgd trains as lomo-optim's Lomo", check_lomo)

// A loss that is not finite, or no target, leaves every tensor, the last norm and the count of updates as they are.
void check_skipped(Backend& backend, ClipBy clip_by) {
  const TensorFile file(case_path("released/golden.safetensors"));
  const std::vector<ParameterSpec> specs = trained();
  Updates updates(backend, clipped_by(clip_by), {.recipe = Recipe::bf16}, specs);
  const auto state = [&] {
    std::vector<std::vector<std::byte>> all;
    for (const std::string name : {"qkv", "qkv.m", "qkv.v", "norm", "norm.m", "last_norm", "updates"})
      if (updates.has(name)) all.push_back(updates.bytes(name));
    return all;
  };
  for (const ParameterSpec& spec : specs) {
    updates.write(spec.name, floats_of_parts(file, spec, "clip."));
    updates.write(spec.name + ".gradient", floats_of_parts(file, spec, "clip.", 0));
  }
  updates.step(0, kRate);
  const auto before = state();
  updates.write("loss", {NAN});
  updates.step(1, kRate);
  CHECK(updates.report(1).skipped == 1);
  CHECK((state() == before));
  updates.write("loss", {0});
  updates.step(2, kRate);
  CHECK((state() != before));
}

ON_EXECUTORS("a loss that is not finite changes nothing where gradients are clipped by tensor", check_skipped,
             ClipBy::tensor)
ON_EXECUTORS("a loss that is not finite changes nothing where gradients are clipped by the last norm", check_skipped,
             ClipBy::previous)

// ---- released ----

struct Outcome {
  std::vector<float> reports;
  State state;
  uint64_t device_bytes = 0;
};

Outcome outcome(Backend& backend, const ModelSource& model, const RunConfig& config, const MemoryPolicy& policy) {
  Run run(backend, model, config, policy);
  Outcome o;
  for (uint64_t s = 0; s < 2; ++s) {
    const abi::StepReport report = run.step(s);
    CHECK(report.skipped == 0);
    o.reports.insert(o.reports.end(), {report.loss, report.grad_norm, float(report.updates)});
    if (s == 0) o.reports.push_back(float(run.evaluation_loss()));
  }
  o.state = run.state();
  o.device_bytes = run.plan().arena_bytes();
  return o;
}

std::vector<std::pair<std::string, MemoryPolicy>> policies() {
  using enum Recompute;
  const EnumSet<Offload> states{offload_of_state(0), offload_of_state(1), offload_of_state(2)};
  EnumSet<Offload> all = states;
  all.insert(Offload::parameters);
  all.insert(Offload::copies);
  all.insert(Offload::gradients);
  all.insert(Offload::residuals);
  std::vector<std::pair<std::string, MemoryPolicy>> list{{"nothing else", {}},
                                                         {"block", uniform_policy({block}, {})},
                                                         {"states offloaded", uniform_policy({norm, ffn}, states)},
                                                         {"all offloaded", uniform_policy({qkv}, all)},
                                                         {"read in place", uniform_policy({}, states)},
                                                         {"in chunks", uniform_policy({attention}, states)},
                                                         {"all, in chunks", uniform_policy({}, all)}};
  list[2].second.copies = {Copies::remade};
  list[3].second.prefetch_distance = 0;
  list[4].second.zero_copy = {offload_of_state(0)};
  list[5].second.optimizer_chunk = 700;
  list[6].second.optimizer_chunk = 700;
  list[6].second.prefetch_distance = 2;
  return list;
}

void check_released(Backend& backend, Release how, const char* name, const char* recipe,
                    const std::vector<std::string>& further) {
  Golden golden(name);
  golden.model.config.layers = 3;
  std::vector<std::string> overrides{fmt::format("--precision.recipe={}", recipe), "--model.from_scratch=true",
                                     "--batch.micro_batch=4", "--batch.gradient_accumulation=1",
                                     "--memory.lm_head_chunks=3"};
  overrides.insert(overrides.end(), further.begin(), further.end());
  const RunConfig config = golden.config(overrides);
  const Outcome none = outcome(backend, golden.model, config, {});
  for (auto& [what, policy] : policies()) {
    CAPTURE(what);
    MemoryPolicy released = policy;
    released.release = how;
    const Outcome with = outcome(backend, golden.model, config, released);
    CHECK(with.reports == none.reports);
    CHECK(with.state == none.state);
    CHECK(with.device_bytes < none.device_bytes);
  }
}

using Overrides = std::vector<std::string>;
ON_EXECUTORS("gradients released once change no bit in fp32", check_released, Release::once, "qwen3", "fp32",
             Overrides{"--optimizer.clip_by=tensor"})
ON_EXECUTORS("gradients released once change no bit in bf16", check_released, Release::once, "llama", "bf16",
             Overrides{"--optimizer.clip_by=previous", "--optimizer.master_dtype=f32"})
ON_EXECUTORS("gradients released once change no bit in fp8", check_released, Release::once, "qwen2", "fp8",
             Overrides{"--optimizer.clip_by=previous"})
ON_EXECUTORS("gradients released once change no bit with 8-bit states", check_released, Release::once, "qwen2", "fp8",
             Overrides{"--optimizer.clip_by=tensor", "--optimizer.m_dtype=e4m3", "--optimizer.v_dtype=e5m3"})

ON_EXECUTORS("gradients released once change no bit under sgd", check_released, Release::once, "qwen2", "bf16",
             Overrides{"--optimizer.clip_by=tensor", "--optimizer.kind=sgd", "--optimizer.master_dtype=f32"})
ON_EXECUTORS("gradients released once change no bit under adalomo in fp32", check_released, Release::once, "qwen3",
             "fp32", Overrides{"--optimizer.clip_by=previous", "--optimizer.kind=adalomo"})
ON_EXECUTORS("gradients released once change no bit under adalomo in bf16", check_released, Release::once, "qwen3",
             "bf16",
             Overrides{"--optimizer.clip_by=tensor", "--optimizer.kind=adalomo", "--optimizer.master_dtype=f32"})
ON_EXECUTORS("gradients released once change no bit under adalomo in fp8", check_released, Release::once, "qwen2",
             "fp8", Overrides{"--optimizer.clip_by=tensor", "--optimizer.kind=adalomo"})
ON_EXECUTORS("gradients released twice change no bit in fp32", check_released, Release::twice, "llama", "fp32",
             Overrides{})
ON_EXECUTORS("gradients released twice change no bit in bf16", check_released, Release::twice, "qwen3", "bf16",
             Overrides{"--optimizer.master_dtype=f32"})
ON_EXECUTORS("gradients released twice change no bit in fp8", check_released, Release::twice, "qwen2", "fp8",
             Overrides{})
ON_EXECUTORS("gradients released twice change no bit under sgd", check_released, Release::twice, "qwen2", "fp8",
             Overrides{"--optimizer.kind=sgd"})
ON_EXECUTORS("gradients released twice change no bit under adalomo", check_released, Release::twice, "qwen2", "fp8",
             Overrides{"--optimizer.kind=adalomo", "--precision.gradient_dtype=f32"})

}  // namespace
}  // namespace tandem::test
