// What a training step must keep whatever the model: sums split in parts, skipped steps, bits that repeat.
#include <algorithm>
#include <limits>

#include "core/abi/gemm.h"
#include "tests/golden/run.h"
#include "tests/support/cuda_host/executor.h"

namespace tandem::test {
namespace {

RunConfig config_of(const Golden& golden, std::vector<std::string> overrides, const char* recipe = "fp32") {
  overrides.push_back(fmt::format("--precision.recipe={}", recipe));
  return golden.config(overrides);
}

// B x 1 and 1 x B, with masked targets unevenly spread over the micro-steps
void check_accumulation(Backend& backend) {
  const Golden golden("qwen3");
  for (const auto& [recipe, tolerance] : {std::pair{"fp32", 1e-6}, std::pair{"bf16", 1e-3}}) {
    Run wide(backend, golden.model,
             config_of(golden, {"--batch.micro_batch=6", "--batch.gradient_accumulation=1"}, recipe));
    Run narrow(backend, golden.model,
               config_of(golden, {"--batch.micro_batch=1", "--batch.gradient_accumulation=6"}, recipe));
    CAPTURE(recipe);
    for (uint64_t s = 0; s < 2; ++s) {
      const abi::StepReport a = wide.step(s), b = narrow.step(s);
      CHECK(relative_difference(a.loss, b.loss) < tolerance);
      CHECK(relative_difference(a.grad_norm, b.grad_norm) < 10 * tolerance);
    }
  }
}
ON_EXECUTORS("one micro-step of B sequences equals B of one", check_accumulation)

void check_z_loss(Backend& backend) {
  const Golden golden("llama");
  Run plain(backend, golden.model, config_of(golden, {}));
  Run with_z(backend, golden.model, config_of(golden, {"--optimizer.z_loss=0.01"}));
  const abi::StepReport a = plain.step(0), b = with_z.step(0);
  CHECK(a.loss == b.loss);
  CHECK(relative_difference(b.grad_norm, a.grad_norm) > 1e-4);
  CHECK(nmse(with_z.values("lm_head.weight.gradient"), plain.values("lm_head.weight.gradient")) > 1e-6);
  CHECK(plain.step(1).loss != with_z.step(1).loss);
}
ON_EXECUTORS("z_loss changes the gradient, not the reported loss", check_z_loss)

// four linears a layer; the loss is near that of exact sums, where a device cuts any short
void check_fast_accumulation(Backend& backend) {
  const Golden golden("qwen2");
  Run exact(backend, golden.model, config_of(golden, {}, "fp8"));
  Run fast(backend, golden.model, config_of(golden, {"--precision.fast_accumulation=true"}, "fp8"));
  const auto marked = [](Run& run, Range range) {
    return std::ranges::count_if(run.session().program().range(range), [](const Instruction& instruction) {
      const auto* d = std::get_if<Dispatch>(&instruction.command);
      return d != nullptr && d->op == OpId::gemm && d->parameters.as<abi::Gemm>().fast_accumulation == 1;
    });
  };
  CHECK(marked(exact, Range::micro_step) == 0);
  CHECK(marked(fast, Range::micro_step) == 4 * int(golden.model.config.layers));
  CHECK(marked(fast, Range::evaluate) == 0);  // as `tandem eval` computes
  CHECK(relative_difference(fast.step(0).loss, exact.step(0).loss) < 1e-3);
}
ON_EXECUTORS("fast accumulation is of the forward's e4m3 products alone", check_fast_accumulation)

// the gradients of queries and keys are differences of two sums, which are the same sum
void check_lonely_tokens(Backend& backend) {
  const Golden golden("qwen2");
  Run run(backend, golden.model, config_of(golden, {"--data.sequence_length=1", "--batch.micro_batch=16"}));
  run.step(0);
  const ModelConfig& c = golden.model.config;
  const size_t rows = size_t(c.q_heads + c.kv_heads) * c.head_dim;
  for (uint32_t layer = 0; layer < c.layers; ++layer) {
    const std::vector<float> g = run.values(fmt::format("layers.{}.qkv.weight.gradient", layer));
    CHECK(std::all_of(g.begin(), g.begin() + ptrdiff_t(rows * c.hidden), [](float x) { return x == 0; }));
    CHECK(std::any_of(g.begin() + ptrdiff_t(rows * c.hidden), g.end(), [](float x) { return x != 0; }));
  }
}
TANDEM_ON_VULKAN("queries and keys of sequences of one token have no gradient", check_lonely_tokens)
TANDEM_ON("cuda_host", "queries and keys of sequences of one token have no gradient", check_lonely_tokens)
TANDEM_ON_CUDA("queries and keys of sequences of one token have no gradient", check_lonely_tokens)

// what was guessed of an amax decides how often a tensor is quantized, and nothing else
void check_guesses(Backend& backend) {
  const Golden golden("llama");
  const RunConfig config = config_of(golden, {"--batch.micro_batch=2", "--data.sequence_length=32"}, "fp8");
  Run first(backend, golden.model, config), other(backend, golden.model, config);
  std::vector<uint32_t> words(other.session().desc("amax").shape.count());
  for (size_t i = 0; i < words.size(); ++i) words[i] = uint32_t(i * 0x9E3779B9u);  // NaN and inf among them
  other.session().write("amax", std::as_bytes(std::span(words)));
  for (uint64_t s = 0; s < 2; ++s) {
    CHECK(first.step(s).loss == other.step(s).loss);
    CHECK(first.state() == other.state());
  }
}
ON_EXECUTORS("any guess of a scale gives the same bits", check_guesses)

// poisons one element, trains, and compares all but that element's parameter with before
void check_skipped(Backend& backend, const char* recipe) {
  const Golden golden("qwen2");
  Run run(backend, golden.model, config_of(golden, {}, recipe)),
      other(backend, golden.model, config_of(golden, {}, recipe));
  const std::string name = run.specs()[1].name;
  const uint64_t element = size_of(run.session().desc(name).dtype);
  std::vector<std::byte> good(element), bad(element, std::byte{0xff});  // a NaN in f32 and bf16
  run.session().read(name, good);
  run.session().write(name, bad);
  const State before = run.state();
  const abi::StepReport skipped = run.step(0);
  CHECK(skipped.skipped == 1);
  CHECK(skipped.updates == 0);
  CHECK_FALSE(std::isfinite(skipped.loss));
  CHECK(run.state() == before);

  run.session().write(name, good);  // goes on as if that step had not been, but for its random bits
  const StepBatch batch = run.batch(0);
  const abi::StepReport a = run.step(batch, 1), b = other.step(batch, 1);
  CHECK(a.skipped == 0);
  CHECK(a.updates == 1);
  CHECK(a.loss == b.loss);
  CHECK(run.state() == other.state());
}
ON_EXECUTORS("a step with a NaN parameter changes nothing in fp32", check_skipped, "fp32")
ON_EXECUTORS("a step with a NaN parameter changes nothing in bf16", check_skipped, "bf16")
ON_EXECUTORS("a step with a NaN parameter changes nothing in fp8", check_skipped, "fp8")

void check_no_targets(Backend& backend) {
  const Golden golden("qwen2");
  Run run(backend, golden.model, config_of(golden, {}));
  StepBatch batch = run.batch(0);
  std::fill(batch.targets.begin(), batch.targets.end(), -1);
  batch.valid_targets = 0;
  const State before = run.state();
  const abi::StepReport report = run.step(batch, 0);
  CHECK(report.skipped == 1);
  CHECK(report.updates == 0);
  CHECK(run.state() == before);
}
ON_EXECUTORS("a step without a valid target changes nothing", check_no_targets)

// twice, the second time with an evaluation after each step
void check_repeats(Backend& backend, const char* recipe) {
  const Golden golden("qwen2");
  const RunConfig config = config_of(golden, {}, recipe);
  Run first(backend, golden.model, config), second(backend, golden.model, config),
      evaluated(backend, golden.model, config);
  for (uint64_t s = 0; s < 3; ++s) {
    const abi::StepReport a = first.step(s), b = second.step(s), c = evaluated.step(s);
    CHECK(a.loss == b.loss);
    CHECK(a.grad_norm == b.grad_norm);
    CHECK(a.loss == c.loss);
    CHECK(a.grad_norm == c.grad_norm);
    const double evaluation = evaluated.evaluation_loss();
    CHECK(std::isfinite(evaluation));
    CHECK(evaluated.evaluation_loss() == evaluation);
  }
  CHECK(first.state() == second.state());
  CHECK(first.state() == evaluated.state());
}
ON_EXECUTORS("the same bits again in fp32, evaluated between or not", check_repeats, "fp32")
ON_EXECUTORS("the same bits again in bf16, evaluated between or not", check_repeats, "bf16")
ON_EXECUTORS("the same bits again in fp8, evaluated between or not", check_repeats, "fp8")

// A save may find a step begun, and a stop may leave it there: it changes no state.
void check_begun(Backend& backend, const Golden& golden, const RunConfig& config, const MemoryPolicy& policy) {
  Run whole(backend, golden.model, config, policy), parts(backend, golden.model, config, policy);
  for (uint64_t s = 0; s < 3; ++s) {
    const State before = parts.state();
    StepRunner::Pending pending = parts.runner().begin(parts.batch(s), s, learning_rate(config, s), config.model.seed);
    CHECK(parts.state() == before);
    parts.runner().go_on(pending);
    CHECK(parts.runner().finish(pending).loss == whole.step(s).loss);
    CHECK(parts.state() == whole.state());
    CHECK(parts.state() != before);
  }
}

void check_begun_in(Backend& backend, const char* recipe) {
  const Golden golden("qwen2");
  const RunConfig config = config_of(golden, {"--batch.gradient_accumulation=2"}, recipe);
  MemoryPolicy offloaded = uniform_policy(
      {}, {offload_of_state(0), offload_of_state(1), Offload::parameters, Offload::copies, Offload::gradients});
  for (const MemoryPolicy& policy : {MemoryPolicy{}, offloaded}) check_begun(backend, golden, config, policy);
}

// Its one micro-step updates the parameters.
void check_begun_released(Backend& backend) {
  const Golden golden("qwen2");
  const RunConfig config = config_of(golden, {"--optimizer.clip_by=tensor", "--batch.gradient_accumulation=1"}, "bf16");
  MemoryPolicy released;
  for (const Release release : {Release::once, Release::twice}) {
    released.release = release;
    check_begun(backend, golden, config, released);
  }
}
ON_EXECUTORS("a step that has begun changes no state in bf16", check_begun_in, "bf16")
ON_EXECUTORS("a step that has begun changes no state in fp8", check_begun_in, "fp8")
ON_EXECUTORS("a step that has begun changes no state where gradients are released", check_begun_released)

TEST_CASE("the same bits in any order of the kernels' threads on cuda_host") {
  const Golden golden("qwen2");
  for (const char* recipe : {"fp32", "bf16", "fp8"}) {
    CAPTURE(std::string(recipe));
    std::vector<State> states;
    for (const cuda_host::Order order : cuda_host::kOrders) {
      cuda_host::set_order(order);
      Run run(executor("cuda_host"), golden.model, config_of(golden, {}, recipe));
      run.losses(2);
      states.push_back(run.state());
    }
    cuda_host::set_order(cuda_host::order_from_environment());
    CHECK(states[0] == states[1]);
    CHECK(states[0] == states[2]);
  }
}

size_t dispatches(const Session& session, OpId op) {
  size_t count = 0;
  for (const Instruction& instruction : session.program().range(Range::micro_step))
    if (const auto* d = std::get_if<Dispatch>(&instruction.command)) count += d->op == op ? 1 : 0;
  return count;
}

// 185 rows: three chunks of at most 64 rows each, the last not full
void check_head_chunks(Backend& backend) {
  const Golden golden("llama");
  const auto config = [&](int chunks) {
    return config_of(golden, {"--batch.micro_batch=5", fmt::format("--memory.lm_head_chunks={}", chunks)});
  };
  Run whole(backend, golden.model, config(1)), parts(backend, golden.model, config(3));
  CHECK(dispatches(whole.session(), OpId::cross_entropy) == 1);
  CHECK(dispatches(parts.session(), OpId::cross_entropy) == 3);
  for (uint64_t s = 0; s < 2; ++s) {
    const abi::StepReport a = whole.step(s), b = parts.step(s);
    CHECK(relative_difference(b.loss, a.loss) < 1e-6);
    CHECK(relative_difference(b.grad_norm, a.grad_norm) < 1e-6);
  }
  CHECK(nmse(parts.values("lm_head.weight.gradient"), whole.values("lm_head.weight.gradient")) < 1e-9);
}
ON_EXECUTORS("LM-head chunks give the same loss and gradient", check_head_chunks)

// Windows of T tokens, one document or more in each: documents[w][d] = first token and length in the data.
struct Document {
  int32_t first;
  uint32_t length;
};
StepBatch pack(const TokenFile& data, const std::vector<std::vector<Document>>& windows, uint32_t length) {
  StepBatch batch;
  for (const auto& documents : windows) {
    for (const Document& document : documents)
      for (uint32_t t = 0; t < document.length; ++t) {
        batch.inputs.push_back(data.token(uint64_t(document.first) + t));
        batch.targets.push_back(t + 1 < document.length ? data.token(uint64_t(document.first) + t + 1) : -1);
        batch.positions.push_back(int32_t(t));
        batch.valid_targets += t + 1 < document.length ? 1 : 0;
      }
    for (; batch.inputs.size() % length != 0;) {  // one document of padding, which counts for nothing
      batch.inputs.push_back(3);
      batch.positions.push_back(batch.targets.empty() ? 0 : batch.positions.back() + 1);
      batch.targets.push_back(-1);
    }
  }
  return batch;
}

void check_documents(Backend& backend, const char* name) {
  const Golden golden(name);
  const TokenFile data(golden.directory + "/train.bin");
  const uint32_t length = golden.values.at("sequence_length"), cut = length / 2 - 2;
  const Document a{0, cut}, b{100, length - cut};
  const StepBatch together = pack(data, {{a, b}}, length), apart = pack(data, {{a}, {b}}, length);
  REQUIRE(together.valid_targets == apart.valid_targets);
  Run packed(backend, golden.model, config_of(golden, {"--batch.micro_batch=1", "--batch.gradient_accumulation=1"}));
  Run separate(backend, golden.model, config_of(golden, {"--batch.micro_batch=1", "--batch.gradient_accumulation=2"}));
  CHECK(relative_difference(packed.runner().evaluate(together, 1), separate.runner().evaluate(apart, 2)) < 1e-6);
  CHECK(relative_difference(packed.step(together, 0).loss, separate.step(apart, 0).loss) < 1e-6);
  for (const ParameterSpec& spec : packed.specs()) {
    INFO(spec.name);
    CHECK(nmse(packed.values(spec.name + ".gradient"), separate.values(spec.name + ".gradient")) < 1e-9);
  }

  StepBatch joined = together;  // positions that do not restart: the second document sees the first
  for (uint32_t t = 0; t < length; ++t) joined.positions[t] = int32_t(t);
  CHECK(relative_difference(packed.runner().evaluate(joined, 1), packed.runner().evaluate(together, 1)) > 1e-5);
}
ON_EXECUTORS("packed documents do not see each other in qwen2", check_documents, "qwen2")
ON_EXECUTORS("packed documents do not see each other in llama", check_documents, "llama")
ON_EXECUTORS("packed documents do not see each other in qwen3", check_documents, "qwen3")

}  // namespace
}  // namespace tandem::test
