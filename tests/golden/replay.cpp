// Adapters of upper layers alone, and the stream that enters them: rounded in one Program, or stored and replayed.
#include "tests/data/scratch.h"
#include "tests/golden/run.h"

namespace tandem::test {
namespace {

const std::vector<std::string> kUpper = {"--lora.rank=5", "--lora.first_layer=1"};

std::vector<std::string> with(std::vector<std::string> overrides, const std::vector<std::string>& more) {
  overrides.insert(overrides.end(), more.begin(), more.end());
  return overrides;
}

StepSpec upper_spec(const Golden& golden, const std::vector<std::string>& overrides) {
  const RunConfig config = golden.config(with(overrides, kUpper));
  return replayed(step_spec(config, golden.model.config, lora_of(config.lora, {})), config.replay);
}

TEST_CASE("the backward pass ends at the lowest layer with adapters") {
  const Golden golden("qwen2");
  for (const char* recipe : {"fp32", "bf16", "fp8"}) {
    CAPTURE(std::string(recipe));
    size_t backward = 0;
    const Graph graph = build_step_graph(upper_spec(golden, {fmt::format("--precision.recipe={}", recipe)}));
    for (const Node& node : graph.nodes()) {
      if (node.tag.phase != Phase::backward || node.tag.layer == kNoLayer) continue;
      CHECK(node.tag.layer >= 1);
      ++backward;
    }
    CHECK(backward > 10);
  }
}

TEST_CASE("a replay's Program holds no layer below the cut, and no embedding but a tied head's") {
  for (const char* model : {"qwen2", "llama"}) {
    const Golden golden(model);
    const StepSpec spec = upper_spec(golden, {"--precision.recipe=bf16", "--replay.directory=unused"});
    const Program program = compile_step(spec, {}, executor("host").target()).program;
    CHECK(program.find("layers.1.qkv.weight") != nullptr);
    CHECK(program.find("layers.1.qkv.lora_a") != nullptr);
    CHECK((program.find("embedding.weight") != nullptr) == golden.model.config.tied);
    CHECK(program.find("inputs.tokens") == nullptr);
    for (const Binding& binding : program.bindings) CHECK_FALSE(binding.name.starts_with("layers.0."));
  }
}

// Stored streams give the bits of one Program that rounds at the cut: losses of training and evaluation, adapters and
// moments. In fp8 scales span a micro-step, so that equal bits want one window in each.
void check_replay(Backend& backend, const char* model, const std::vector<std::string>& overrides) {
  const Golden golden(model);
  const ScratchDirectory scratch;
  const auto run = [&](const std::string& key, const MemoryPolicy& policy) {
    return Run(backend, golden.model, golden.config(with(with(overrides, kUpper), {key})), policy);
  };
  const std::string directory = "--replay.directory=" + scratch.path("");
  Run rounded = run("--replay.rounding=true", {}), stored = run(directory, {});
  CHECK(stored.evaluation_loss() == rounded.evaluation_loss());
  CHECK(stored.losses(6) == rounded.losses(6));
  CHECK((stored.state() == rounded.state()));
  CHECK(stored.evaluation_loss() == rounded.evaluation_loss());
  CHECK(rounded.losses(1) != run("--replay.rounding=false", {}).losses(1));

  const EnumSet<Offload> all{Offload::parameters, Offload::copies, Offload::gradients, Offload::residuals};
  for (const MemoryPolicy& policy : {uniform_policy({Recompute::block}, {}), uniform_policy({Recompute::norm}, all)}) {
    Run other = run(directory, policy), other_rounded = run("--replay.rounding=true", policy);
    other.losses(6), other_rounded.losses(6);
    CHECK((other.state() == stored.state()));
    CHECK((other_rounded.state() == stored.state()));
  }
}
const std::vector<std::string> kFp32 = {"--precision.recipe=fp32"}, kBf16 = {"--precision.recipe=bf16"};
const std::vector<std::string> kFp8 = {"--precision.recipe=fp8", "--data.sequence_length=32", "--batch.micro_batch=1",
                                       "--batch.gradient_accumulation=3"};
ON_EXECUTORS("a replay of qwen2 has the bits of one Program, in fp32", check_replay, "qwen2", kFp32)
ON_EXECUTORS("a replay of llama has the bits of one Program, in bf16", check_replay, "llama", kBf16)
ON_EXECUTORS("a replay of qwen3 has the bits of one Program, in bf16", check_replay, "qwen3", kBf16)
ON_EXECUTORS("a replay of qwen2 has the bits of one Program, in fp8", check_replay, "qwen2", kFp8)

TEST_CASE("layers below a cut that do not fit are streamed, with the same bits") {
  const Golden golden("qwen2");
  ModelSource model = golden.model;
  model.config.layers = 8;
  Backend& backend = executor("host");
  for (const char* recipe : {"bf16", "fp8"}) {
    CAPTURE(std::string(recipe));
    const RunConfig config = golden.config({fmt::format("--precision.recipe={}", recipe), "--data.sequence_length=32",
                                            "--lora.rank=5", "--lora.first_layer=7", "--replay.directory=unused"});
    const StepSpec spec = replayed(step_spec(config, model.config, lora_of(config.lora, {})), config.replay);
    const Windows windows = open_windows(open_token_files(config.data.train, model.config.vocabulary),
                                         {.sequence_length = spec.shape.sequence_length});
    const auto streams = [&](const Target& target) {
      LayersBelow below(backend, target, spec);
      initialise_parameters(below.session(), model, 1);
      const LayersBelow::Streams made = below.run(windows, 0, windows.count());
      return std::pair(below.session().device_bytes(), std::vector(made.codes.begin(), made.codes.end()));
    };
    const auto [whole, expected] = streams(backend.target());
    Target small = backend.target();
    small.memory_bytes = small.reserve_bytes + small.staging_bytes + whole - 1;
    const auto [less, codes] = streams(small);
    CHECK(less < whole);
    CHECK((codes == expected));
  }
}

}  // namespace
}  // namespace tandem::test
