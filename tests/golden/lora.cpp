// Adapters against peft's results, and against what a frozen base must keep.
#include "core/abi/numeric.h"
#include "tests/golden/run.h"

namespace tandem::test {
namespace {

void check_training(Backend& backend, const char* name) {
  const Golden golden(name);
  const RunConfig config = golden.config({"--precision.recipe=fp32"});
  Run run(backend, golden.model, config);
  CHECK(relative_difference(run.evaluation_loss(), golden.values.at("eval_loss")) < 1e-5);
  const uint64_t steps = golden.values.at("steps");
  for (uint64_t s = 0; s < steps; ++s) {
    INFO(name, " step ", s + 1);
    const abi::StepReport report = run.step(s);
    CHECK(relative_difference(report.loss, golden.values.at("loss")[s]) < (s == 0 ? 1e-5 : 1e-4));
    CHECK(relative_difference(report.grad_norm, golden.values.at("grad_norm")[s]) < 1e-4);
    CHECK(report.skipped == 0);
    if (s == 0) CHECK(worst_nmse(run, ".gradient", golden.directory + "/gradients.safetensors") < 1e-8);
  }
  CHECK(worst_nmse(run, "", golden.directory + "/after.safetensors") < 1e-7);
}
ON_EXECUTORS("LoRA on qwen2 trains in fp32 as peft does", check_training, "lora-qwen2")
ON_EXECUTORS("LoRA on llama trains in fp32 as peft does", check_training, "lora-llama")
ON_EXECUTORS("LoRA on qwen3 trains in fp32 as peft does", check_training, "lora-qwen3")
ON_EXECUTORS("LoRA on qwen2's upper layer trains in fp32 as peft does", check_training, "lora-upper")

void check_generation(Backend& backend, const char* name) {
  const Golden golden(name);
  const TensorFile file(golden.directory + "/logits.safetensors");
  const Shape shape = file.info("logits").shape;  // (T, vocabulary)
  std::vector<float> expected(shape.count());
  file.read("logits", DType::f32, std::as_writable_bytes(std::span(expected)));

  const TokenFile tokens(golden.model.path + "/train.bin");
  const std::vector<int32_t> prompt = golden.values.at("prompt"), greedy = golden.values.at("greedy");
  Generator generator(backend, golden.model, open_weights(golden.model), {.recipe = Recipe::fp32},
                      uint32_t(std::max(shape[0], prompt.size() + greedy.size())),
                      open_adapter(golden.directory + "/adapter", golden.model.config));
  std::vector<float> logits;
  for (uint32_t t = 0; t < shape[0]; ++t) {
    const std::vector<float> row = generator.logits(tokens.token(t), t);
    logits.insert(logits.end(), row.begin(), row.end());
  }
  CHECK(nmse(logits, expected) < 1e-8);
  CHECK(generator.run(prompt, {.max_tokens = uint32_t(greedy.size())}) == greedy);
}
ON_EXECUTORS("LoRA on qwen2 generates in fp32 as peft does", check_generation, "lora-qwen2")
ON_EXECUTORS("LoRA on llama generates in fp32 as peft does", check_generation, "lora-llama")
ON_EXECUTORS("LoRA on qwen3 generates in fp32 as peft does", check_generation, "lora-qwen3")
ON_EXECUTORS("LoRA on qwen2's upper layer generates in fp32 as peft does", check_generation, "lora-upper")

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
const std::vector<std::string> kMaster = {"--precision.recipe=bf16", "--optimizer.master_dtype=f32",
                                          "--precision.gradient_dtype=f32"};
const std::vector<std::string> kFp8 = {"--precision.recipe=fp8", "--optimizer.master_dtype=f32",
                                       "--precision.gradient_dtype=f32"};
ON_EXECUTORS("LoRA on qwen2 in bf16 stays near peft's losses", check_losses, "lora-qwen2", kBf16, 1e-2)
ON_EXECUTORS("LoRA on llama in bf16 stays near peft's losses", check_losses, "lora-llama", kMaster, 1e-2)
ON_EXECUTORS("LoRA on qwen3 in bf16 stays near peft's losses", check_losses, "lora-qwen3", kBf16, 1e-2)
// the other two bases have sizes that fp8 refuses
ON_EXECUTORS("LoRA on qwen2 in fp8 stays near peft's losses", check_losses, "lora-qwen2", kFp8, 3e-2)

// A new adapter changes nothing: its B is zero. Products that add to it may be another kernel of a library, whose sums
// of f32 are in another order.
void check_first_loss(Backend& backend, const std::string& recipe, double tolerance = 0) {
  const Golden golden("qwen2");
  const std::string precision = "--precision.recipe=" + recipe;
  Run base(backend, golden.model, golden.config({precision}));
  Run adapted(backend, golden.model, golden.config({precision, "--lora.rank=5"}));
  CHECK(relative_difference(adapted.evaluation_loss(), base.evaluation_loss()) <= tolerance);
  CHECK(relative_difference(adapted.step(0).loss, base.step(0).loss) <= tolerance);
}
TANDEM_ON("host", "the first loss of an adapter is its base's, in fp32", check_first_loss, "fp32")
TANDEM_ON("cuda_host", "the first loss of an adapter is its base's, in fp32", check_first_loss, "fp32")
TANDEM_ON_VULKAN("the first loss of an adapter is its base's, in fp32", check_first_loss, "fp32")
TANDEM_ON_CUDA("the first loss of an adapter is its base's, in fp32", check_first_loss, "fp32", 1e-6)
ON_EXECUTORS("the first loss of an adapter is its base's, in bf16", check_first_loss, "bf16")
ON_EXECUTORS("the first loss of an adapter is its base's, in fp8", check_first_loss, "fp8")

// Where the base lives, what is made again and what is kept change no bit of an adapter.
void check_policies(Backend& backend, const std::vector<std::string>& overrides) {
  const Golden golden("lora-qwen2");
  const RunConfig config = golden.config(overrides);
  const auto after = [&](const MemoryPolicy& policy) {
    Run run(backend, golden.model, config, policy);
    run.losses(3);
    return run.state();
  };
  const State expected = after({});
  const EnumSet<Offload> all{offload_of_state(0), offload_of_state(1), Offload::parameters,
                             Offload::copies,     Offload::gradients,  Offload::residuals};
  MemoryPolicy streamed = uniform_policy({}, {Offload::parameters, Offload::copies}), transposed,
               everything = uniform_policy({Recompute::block}, all);
  streamed.offload = {{Offload::parameters, Offload::copies},
                      {}};  // one layer's codes on the host, the other's on the device
  transposed.copies = {Copies::transposed};
  everything.copies = {Copies::transposed, Copies::kept};
  everything.attention_chunks = 2;
  everything.prefetch_distance = 2;
  const std::pair<const char*, MemoryPolicy> policies[] = {
      {"streamed", streamed},
      {"transposed where read", transposed},
      {"parts recomputed", uniform_policy({Recompute::norm, Recompute::swiglu, Recompute::qkv}, {})},
      {"blocks recomputed", uniform_policy({Recompute::block}, {})},
      {"everything", everything}};
  for (const auto& [name, policy] : policies) {
    CAPTURE(std::string(name));
    CHECK((after(policy) == expected));
  }
}
ON_EXECUTORS("no memory policy changes an adapter in bf16", check_policies, kBf16)
ON_EXECUTORS("no memory policy changes an adapter in fp8", check_policies, kFp8)

std::vector<std::byte> bytes_of(const Session& session, const std::string& name, const TensorDesc& desc) {
  REQUIRE(session.desc(name) == desc);
  std::vector<std::byte> bytes(desc.bytes());
  session.read(name, bytes);
  return bytes;
}

// The codes of a frozen base are those that a run makes in begin: the op's reference, bit by bit.
void check_codes(Backend& backend) {
  const Golden golden("qwen2");
  Run full(backend, golden.model, golden.config({"--precision.recipe=fp8"}));
  Run adapted(backend, golden.model, golden.config({"--precision.recipe=fp8", "--lora.rank=8"}));
  for (uint32_t layer = 0; layer < golden.model.config.layers; ++layer)
    for (const char* part : {"qkv", "o", "gate_up", "down"}) {
      const std::string name = fmt::format("layers.{}.{}.weight", layer, part);
      CAPTURE(name);
      const std::vector<float> weight = full.values(name);
      const Shape shape = full.session().desc(name).shape;
      uint32_t amax = 0;
      for (const float x : weight) amax = std::max(amax, abi::float_bits(std::abs(x)));
      const auto q = bytes_of(adapted.session(), name + ".q", {DType::e4m3, shape});
      size_t wrong = 0;
      for (size_t e = 0; e < weight.size(); ++e) wrong += uint32_t(q[e]) == abi::quantize_e4m3(weight[e], amax) ? 0 : 1;
      CHECK(wrong == 0);
      CHECK(adapted.values(name + ".scale") == std::vector{abi::scale_of_codes(amax)});
      if (layer == 0 && std::string_view(part) == "qkv") {  // no gradient goes through it
        CHECK_FALSE(adapted.session().has(name + ".qt"));
        continue;
      }
      const auto qt = bytes_of(adapted.session(), name + ".qt", {DType::e4m3, {shape[1], shape[0]}});
      for (uint64_t r = 0; r < shape[0]; ++r)
        for (uint64_t c = 0; c < shape[1]; ++c) wrong += qt[c * shape[0] + r] == q[r * shape[1] + c] ? 0 : 1;
      CHECK(wrong == 0);
    }
}
TEST_CASE("the codes of a frozen base are the e4m3 codes of its weights") {
  check_codes(executor("host"));
}

}  // namespace
}  // namespace tandem::test
