// Shows that two commits compute the same: writes one hash per line, "name hash", to be compared by diff. List 1: the
// Programs of the shipped configs, as text with the parameters of their dispatches. List 2: what four training steps of
// small models leave behind, by the names of the bindings, wherever in memory those lie.
// What a compiled Program is made from stands in compile_config(), what a step is in train() and hash_steps().
#include <CLI/CLI.hpp>
#include <algorithm>
#include <cmath>
#include <filesystem>
#include <functional>

#include "core/abi/numeric.h"
#include "core/base/file.h"
#include "core/base/hash.h"
#include "core/program/dump.h"
#include "core/run/settings.h"
#include "core/step/compile_step.h"
#include "core/step/parameters.h"
#include "core/step/step_runner.h"
#include "tests/support/cuda_host/backend.h"
#include "tests/support/host_backend.h"

#ifdef TANDEM_VULKAN
#include "backends/vulkan/vulkan.h"
#endif

using namespace tandem;

namespace {

struct Line {
  std::string name, hash;
};

struct Case {
  std::string name;  // each line's name starts with it
  std::function<std::vector<Line>(const std::string& name)> lines;
};

// Exit::does_not_fit cannot happen: the target has more memory than any model takes.
Program compile_config(const std::string& path, const MemoryPolicy& policy, uint32_t queues) {
  constexpr uint32_t kMicroBatch = 8;
  const RunConfig config =
      load_config(path, std::vector<std::string>{fmt::format("--batch.micro_batch={}", kMicroBatch)});
  const ModelConfig model = open_model(config.model.path).config;
  const Precision precision = precision_of(config);
  const uint64_t sequences = sequences_per_step(config) / config.distributed.devices;
  const StepShape shape = with_head_chunks(
      {kMicroBatch, uint32_t(sequences / kMicroBatch), config.data.sequence_length, 1}, model, precision);
  Target target;
  target.name = "bits";
  target.queues = queues_of(queues);
  target.largest_arena = target.largest_operand = target.memory_bytes = uint64_t{1} << 50;
  const StepSpec spec{model, precision, config.optimizer, shape, {}, lora_of(config.lora, {}), {}};
  return compile_step(spec, policy, target, Checks::without).program;
}

std::vector<Line> hash_program(const std::string& name, const Program& program) {
  std::string text = dump(program);
  for (const std::vector<Instruction>& range : program.ranges)
    for (const Instruction& instruction : range)
      if (const auto* d = std::get_if<Dispatch>(&instruction.command))
        text.append(reinterpret_cast<const char*>(d->parameters.data()), d->parameters.size());
  return {{name, xxh3(bytes_of(text))}};
}

std::vector<std::string> shipped_configs() {
  std::vector<std::string> paths;
  std::error_code missing;
  for (const auto& entry : std::filesystem::directory_iterator("configs", missing))
    if (entry.path().extension() == ".toml" &&
        !load_config(entry.path().string(), {}).model.path.starts_with("runs/"))  // a model that another one trains
      paths.push_back(entry.path().string());
  if (paths.empty())
    fail(Exit::configuration, "configs", "holds no *.toml here; run bench-bits at the root of a checkout");
  std::ranges::sort(paths);
  return paths;
}

std::vector<Case> program_cases() {
  const auto all = EnumSet<Offload>::of((1u << kOffloadCount) - 1);
  MemoryPolicy chunks;
  chunks.attention_chunks = 4;
  const std::pair<const char*, MemoryPolicy> policies[] = {{"none", {}},
                                                           {"recompute-block", uniform_policy({Recompute::block}, {})},
                                                           {"offload-all", uniform_policy({}, all)},
                                                           {"attention-chunks-4", chunks}};
  std::vector<Case> cases;
  for (const std::string& path : shipped_configs())
    for (const auto& [policy_name, policy] : policies)
      for (const uint32_t queues : {1u, 3u})
        cases.push_back(
            {fmt::format("program/{}/{}/queues-{}", std::filesystem::path(path).stem().string(), policy_name, queues),
             [path, policy = policy, queues](const std::string& name) {
               return hash_program(name, compile_config(path, policy, queues));
             }});
  return cases;
}

constexpr StepShape kShape{.micro_batch = 2, .accumulation = 2, .sequence_length = 72, .head_chunks = 2};

Precision toy_precision(Recipe recipe) {
  Precision p{.recipe = recipe, .master = recipe == Recipe::bf16};
  if (recipe == Recipe::fp32) p.gradient = p.m = p.v = DType::f32;
  return p;
}

// Two layers. The vocabulary is padded in two of three; so is the ffn width, but in fp8, which wants a multiple of 16.
ModelConfig toy(Family family, Recipe recipe) {
  ModelConfig c{.family = family, .hidden = 48, .ffn = recipe == Recipe::fp8 ? 64u : 60u, .layers = 2};
  c.max_positions = kShape.sequence_length;
  switch (family) {
    case Family::qwen2:
      c.vocabulary = 131, c.q_heads = 2, c.kv_heads = 1, c.head_dim = 64;
      c.tied = c.qkv_bias = true;
      break;
    case Family::llama:
      c.vocabulary = 96, c.q_heads = 6, c.kv_heads = 2, c.head_dim = 24;
      c.rope = {.kind = RopeKind::llama3, .theta = 500000, .factor = 8, .original_positions = 32};
      break;
    case Family::qwen3:
      c.vocabulary = 100, c.q_heads = 2, c.kv_heads = 1, c.head_dim = 128;
      c.tied = c.qkv_bias = c.o_bias = true;
      break;
  }
  return c;
}

// Random tokens. A second document starts in each sequence, and every seventh target is masked.
StepBatch random_batch(uint32_t vocabulary, uint32_t step) {
  constexpr uint32_t kDocument = kShape.sequence_length / 3;
  StepBatch batch;
  for (uint32_t i = 0; i < kShape.accumulation * kShape.rows(); ++i) {
    const abi::PhiloxWords random = abi::philox(1, 2, i, step, 0, 0);
    const uint32_t t = i % kShape.sequence_length;
    const bool valid = t + 1 != kDocument && i % 7 != 3;
    batch.inputs.push_back(int32_t(random.word[0] % vocabulary));
    batch.targets.push_back(valid ? int32_t(random.word[1] % vocabulary) : -1);
    batch.positions.push_back(int32_t(t < kDocument ? t : t - kDocument));
    batch.valid_targets += valid;
  }
  return batch;
}

// The losses and gradient norms of four training steps, then the loss of an evaluation on the last batch.
std::vector<double> train(Session& session, const ModelConfig& config) {
  StepRunner runner(session, kShape, rope_table(config, kShape.sequence_length));
  std::vector<double> losses;
  StepBatch batch;
  for (uint32_t step = 0; step < 4; ++step) {
    batch = random_batch(config.vocabulary, step);
    const abi::StepReport report = runner.finish(runner.train(batch, step, 1e-2, 1));
    losses.insert(losses.end(), {report.loss, report.grad_norm});
  }
  losses.push_back(runner.evaluate(batch, kShape.accumulation));
  return losses;
}

// The bytes of the bindings named as the parameters with suffix behind, one after the other.
std::vector<std::byte> read_bindings(const Session& session, const std::vector<std::string>& parameters,
                                     const std::string& suffix) {
  std::vector<std::byte> all;
  for (const std::string& parameter : parameters) {
    if (!session.has(parameter + suffix)) continue;
    const size_t end = all.size();
    all.resize(end + session.desc(parameter + suffix).bytes());
    session.read(parameter + suffix, std::span(all).subspan(end));
  }
  return all;
}

std::vector<Line> hash_steps(const std::string& name, Backend& backend, const ModelConfig& config, Recipe recipe) {
  const Precision precision = toy_precision(recipe);
  OptimizerOptions optimizer;
  optimizer.z_loss = 1e-4;
  Session session(backend, compile_step({config, precision, optimizer, kShape}, {}, backend.target()).program);
  initialise_parameters(session, {name, config}, 1);
  const std::vector<double> losses = train(session, config);
  if (!std::ranges::all_of(losses, [](double x) { return std::isfinite(x); }))
    fail(Exit::diverged, name, "has a loss that is not finite: equal hashes would show nothing");

  std::vector<std::string> parameters;
  for (const ParameterSpec& spec : parameter_specs(config)) parameters.push_back(spec.name);
  std::ranges::sort(parameters);
  std::vector<Line> lines{{name + "/losses", xxh3(bytes_of(losses))}};
  for (const char* suffix : {"", ".m", ".v", ".master"}) {
    const std::vector<std::byte> bytes = read_bindings(session, parameters, suffix);
    const std::string_view kind = *suffix == 0 ? "parameters" : suffix + 1;
    if (!bytes.empty()) lines.push_back({fmt::format("{}/{}", name, kind), xxh3(bytes)});
  }
  return lines;
}

std::unique_ptr<Backend> open_software_vulkan() {
#ifdef TANDEM_VULKAN
  for (const DeviceInfo& device : vulkan_backend().devices().devices)
    if (device.kind == DeviceInfo::Kind::software) return vulkan_backend().open(device.index);
  fail(Exit::device, "vulkan", "no software device here; install Mesa's lavapipe, or choose lines by --only");
#else
  fail(Exit::device, "vulkan", "this build has none; configure with -Dvulkan=enabled, or choose lines by --only");
#endif
}

std::unique_ptr<Backend> open_executor(const std::string& name) {
  if (name == "vulkan") return open_software_vulkan();
  return (name == "host" ? test::host_backend() : test::cuda_host_backend()).open(0);
}

std::vector<Case> step_cases() {
  const std::pair<const char*, Family> families[] = {
      {"qwen2", Family::qwen2}, {"llama", Family::llama}, {"qwen3", Family::qwen3}};
  std::vector<Case> cases;
  for (const std::string executor : {"host", "cuda_host", "vulkan"})
    for (const auto& [family_name, family] : families)
      for (const Recipe recipe : {Recipe::fp32, Recipe::bf16, Recipe::fp8})
        cases.push_back({fmt::format("steps/{}/{}/{}", executor, family_name, name_of(recipe)),
                         [executor, family = family, recipe](const std::string& name) {
                           return hash_steps(name, *open_executor(executor), toy(family, recipe), recipe);
                         }});
  return cases;
}

void run(const std::string& out, uint32_t list, const std::string& only) {
  std::vector<Case> cases;
  if (list != 2) cases = program_cases();
  if (list != 1) std::ranges::move(step_cases(), std::back_inserter(cases));
  std::string text;
  for (const Case& one : cases) {
    if (one.name.find(only) == one.name.npos) continue;
    for (const Line& line : one.lines(one.name)) text += fmt::format("{} {}\n", line.name, line.hash);
  }
  if (text.empty()) fail(Exit::configuration, "--only", "no case's name contains '{}'", only);
  replace_file(out, text);
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app("Hashes of Programs and of training steps, by which two commits are compared", "bench-bits");
  std::string out, only;
  uint32_t list = 0;
  app.add_option("--out", out, "the file to write: one hash per line")->required();
  app.add_option("--list", list, "1: Programs of the shipped configs; 2: training steps; both unless given")
      ->check(CLI::IsMember({1, 2}));
  app.add_option("--only", only, "only cases whose name contains this, as steps/vulkan or recompute-block");
  CLI11_PARSE(app, argc, argv);
  try {
    run(out, list, only);
  } catch (const Error& error) {
    fmt::print(stderr, "bench-bits: {}\n", error.what());
    return int(error.exit());
  }
  return 0;
}
