// The verifier finds what it must find and passes what it must pass; executors that share kernels agree.
#include "core/run/verify.h"

#include <set>
#include <tuple>

#include "tests/golden/run.h"

namespace tandem::test {
namespace {

const std::vector<std::string> kAdapter{"--lora.rank=5"};
const std::vector<std::string> kReplay{"--lora.rank=5", "--lora.first_layer=1", "--replay.directory=unused"};
const std::vector<std::string> k8bitStates{"--optimizer.m_dtype=e4m3", "--optimizer.v_dtype=e5m3"};
const std::vector<std::string> k8bitAdapter{"--lora.rank=5", "--optimizer.m_dtype=e4m3", "--optimizer.v_dtype=e5m3"};
const std::vector<std::string> kMuon{"--optimizer.kind=muon"};
const std::vector<std::string> kReleased{"--optimizer.clip_by=tensor", "--batch.gradient_accumulation=1",
                                         "--memory.release_gradients=once"};
const std::vector<std::string> kSgd{"--optimizer.kind=sgd", "--batch.gradient_accumulation=1",
                                    "--memory.release_gradients=twice"};
const std::vector<std::string> kAdalomo{"--optimizer.kind=adalomo", "--optimizer.clip_by=tensor"};
const std::vector<std::string> k8bitMuon{"--optimizer.kind=muon", "--optimizer.m_dtype=e4m3",
                                         "--optimizer.v_dtype=e5m3"};
const std::vector<std::string> kApollo{"--optimizer.kind=apollo", "--optimizer.projection_rank=8"};
const std::vector<std::string> kMini{"--optimizer.kind=apollo", "--optimizer.projection_rank=1",
                                     "--optimizer.projection_scale=128", "--optimizer.scaling=tensor"};
const std::vector<std::string> kGalore{"--optimizer.kind=galore", "--optimizer.projection_rank=8"};

Verifier verify_golden(const std::string& model, const std::string& recipe, const std::string& reference,
                       const std::string& candidate, const VerifyOptions& options,
                       const std::vector<std::string>& further = {}) {
  std::vector<std::string> overrides{"--precision.recipe=" + recipe};
  overrides.insert(overrides.end(), further.begin(), further.end());
  const RunConfig config = Golden(model).config(overrides);
  return verify_run(config, executor(reference), executor(candidate), 1, options);
}

std::string first_wrong(const Verifier& v) {
  if (v.passed()) return {};
  const InstructionDifference& d = *v.first_over();
  return fmt::format("{} {}: {}\n{}", name_of(d.id), name_of(d.op), d.wrong, d.operands);
}

void check_agreement(const std::string& reference, const std::string& candidate) {
  for (const char* model : kGoldens)
    for (const char* recipe : {"fp32", "bf16", "fp8"})
      for (bool locked : {true, false}) {
        if (model != std::string("qwen2") && recipe == std::string("fp8")) continue;  // sizes not divisible by 16
        CAPTURE(fmt::format("{} {} {}", model, recipe, locked ? "locked" : "free"));
        const Verifier v = verify_golden(model, recipe, reference, candidate, {locked, {}, {}});
        CHECK(first_wrong(v) == "");
        CHECK(v.ops().size() >= 20);
      }
  for (const char* recipe : {"fp32", "bf16", "fp8"}) {
    CAPTURE(fmt::format("an adapter of qwen2 in {}", recipe));
    CHECK(first_wrong(verify_golden("qwen2", recipe, reference, candidate, {}, kAdapter)) == "");
    for (const auto* further : {&kMuon, &kReleased, &kSgd, &kAdalomo, &kApollo, &kMini, &kGalore}) {
      CAPTURE(further->front());
      CHECK(first_wrong(verify_golden("qwen2", recipe, reference, candidate, {}, *further)) == "");
    }
    if (recipe != std::string("fp32"))
      CHECK(first_wrong(verify_golden("qwen2", recipe, reference, candidate, {}, k8bitMuon)) == "");
  }
  for (const bool locked : {true, false}) {
    CAPTURE(fmt::format("8-bit states {}", locked ? "locked" : "free"));
    CHECK(first_wrong(verify_golden("qwen2", "fp8", reference, candidate, {locked, {}, {}}, k8bitStates)) == "");
    CAPTURE("of an adapter");
    CHECK(first_wrong(verify_golden("qwen2", "fp8", reference, candidate, {locked, {}, {}}, k8bitAdapter)) == "");
  }
}

TEST_CASE("verify finds each op that is disturbed") {
  std::set<OpId> found;
  const std::tuple<const char*, const char*, std::vector<std::string>> runs[] = {
      {"qwen2", "fp8", {}},           {"qwen3", "bf16", {}},        {"qwen2", "bf16", kAdapter},
      {"qwen2", "bf16", k8bitStates}, {"llama", "bf16", kMuon},     {"qwen2", "bf16", kReleased},
      {"qwen2", "bf16", kSgd},        {"llama", "bf16", k8bitMuon}, {"llama", "bf16", kApollo},
      {"qwen2", "bf16", kAdalomo},    {"qwen2", "bf16", kReplay}};
  for (const auto& [model, recipe, further] : runs) {
    const Verifier sound = verify_golden(model, recipe, "host", "host", {}, further);
    CHECK(first_wrong(sound) == "");
    for (const auto& [op, difference] : sound.ops()) {
      CAPTURE(name_of(op));
      CHECK(difference.nmse == 0);
      if (!found.insert(op).second) continue;
      const Verifier v =
          verify_golden(model, recipe, "host", "host", {.locked = true, .perturb = op, .only = {}}, further);
      REQUIRE(!v.passed());
      CHECK(name_of(v.first_over()->op) == name_of(op));
      for (const auto& [other, d] : v.ops())
        if (other != op) CHECK_MESSAGE(d.nmse == 0, name_of(other));
    }
  }
  CHECK(found.size() == kOpCount - 5);  // all but generation's two and the three of several ranks
}

TEST_CASE("verify of one instruction alone") {
  const VerifyOptions disturbed{.locked = true, .perturb = OpId::swiglu, .only = {}};
  const Verifier all = verify_golden("llama", "bf16", "host", "host", disturbed);
  REQUIRE(!all.passed());
  const InstructionId id = all.first_over()->id;
  CHECK(parse_instruction(name_of(id)) == id);
  VerifyOptions alone = disturbed;
  alone.only = id;
  const Verifier v = verify_golden("llama", "bf16", "host", "host", alone);
  REQUIRE(!v.passed());
  CHECK(v.first_over()->id == id);
  CHECK(v.ops().size() == 1);
}

TEST_CASE("verify of the generation ops") {
  const Golden golden("qwen3");
  Backend& host = executor("host");
  constexpr uint32_t kCapacity = 8;
  const Program program =
      compile(build_generation_graph(golden.model.config, {.recipe = Recipe::fp32}, kCapacity), host.target()).program;
  for (OpId op : {OpId::cache_append, OpId::cached_attention}) {
    Session a(host, program), b(host, program);
    for (Session* s : {&a, &b}) {
      load_parameters(*s, golden.model, open_weights(golden.model));
      s->write("rope", bytes_of(rope_table(golden.model.config, kCapacity)));
      for (const Binding& binding : program.bindings)
        if (binding.name.starts_with("cache")) s->zero(binding.name);
      const int32_t token = 7, position = 0;
      s->write("token", std::as_bytes(std::span(&token, 1)));
      s->write("position", std::as_bytes(std::span(&position, 1)));
    }
    Verifier v(a, b, {.locked = true, .perturb = op, .only = {}});
    v.run(Range::evaluate);
    REQUIRE(!v.passed());
    CHECK(name_of(v.first_over()->op) == name_of(op));
  }
}

TEST_CASE("verify refuses what is no instruction") {
  for (const char* text : {"", "begin", "begin:", "begin:x", "end:1", "begin:-1", "begin:1 "})
    CHECK_THROWS_AS(parse_instruction(text), Error);
}

TEST_CASE("cuda_host agrees with the reference: verify on cuda_host") {
  check_agreement("host", "cuda_host");
}

#ifdef TANDEM_VULKAN
TEST_CASE("cuda_host agrees with Vulkan: verify on vulkan") {
  check_agreement("vulkan", "cuda_host");
}
#endif

#ifdef TANDEM_CUDA
TEST_CASE("CUDA agrees with cuda_host: verify on cuda") {
  check_agreement("cuda_host", "cuda");
}
#endif

}  // namespace
}  // namespace tandem::test
