// Models whose ffn width is no multiple of 8: the same bits as with the zeros in their files, which stay zeros.
#include <algorithm>
#include <cstring>

#include "core/abi/numeric.h"
#include "core/run/saved_state.h"
#include "tests/golden/run.h"
#include "tests/support/temporary.h"

namespace tandem::test {
namespace {

constexpr uint64_t kFfn = 20, kPadded = 24;
const std::vector<std::string> k8bitStates{"--optimizer.m_dtype=e4m3", "--optimizer.v_dtype=e5m3"};

// uniform in +-0.1, by name, row and column; zero beyond the ffn width of the model
float value_of(const std::string& name, uint64_t row, uint64_t column) {
  const bool beyond = name.find("down") != name.npos ? column >= kFfn : name.find("mlp") != name.npos && row >= kFfn;
  const uint32_t key = uint32_t(std::hash<std::string>{}(name));
  const uint32_t word = abi::philox(key, 1, uint32_t(column), uint32_t(row), 0, 0).word[0];
  return beyond ? 0.0f : float(0.2 * (word * 0x1p-32 - 0.5)) + (name.find("norm") != name.npos ? 1.0f : 0.0f);
}

std::vector<float> values_of(const StoredTensor& part) {
  std::vector<float> values(part.shape.count());
  const uint64_t columns = part.shape.back();
  for (uint64_t e = 0; e < values.size(); ++e) values[e] = value_of(part.name, e / columns, e % columns);
  return values;
}

// a model directory whose ffn width is ffn
ModelSource write_model(const std::string& directory, uint64_t ffn) {
  const Json config = {{"model_type", "llama"},    {"vocab_size", 96},           {"hidden_size", 32},
                       {"num_hidden_layers", 2},   {"intermediate_size", ffn},   {"num_attention_heads", 2},
                       {"num_key_value_heads", 1}, {"tie_word_embeddings", true}};
  make_directories(directory);
  write_file_synced(directory + "/config.json", write_json(config));
  const ModelSource model = open_model(directory);
  const std::vector<ParameterSpec> specs = parameter_specs(model.config);
  std::vector<float> values;
  std::vector<OutputTensor> tensors;
  for (const ParameterSpec& spec : specs)
    for (const StoredTensor& part : spec.parts)
      tensors.push_back({part.name, {DType::f32, part.shape}, [&values, &part] {
                           values = values_of(part);
                           return std::as_bytes(std::span(values));
                         }});
  write_model_files(directory, tensors);
  return model;
}

RunConfig config_of(const ModelSource& model, const std::string& recipe, std::vector<std::string> more = {}) {
  more.insert(more.end(), {"--model.path=" + model.path, "--precision.recipe=" + recipe, "--batch.micro_batch=2",
                           "--data.sequence_length=24"});
  if (recipe == "bf16") more.push_back("--optimizer.master_dtype=f32");
  return Golden("llama").config(more);
}

// every element of gate_up, down and their states that is none of the model's
void check_zeros(Run& run) {
  for (const char* suffix : {"", ".m", ".v", ".master"})  // not scales, which zeros have too
    for (const char* layer : {"layers.0", "layers.1"}) {
      if (!run.session().has(fmt::format("{}.down.weight{}", layer, suffix))) continue;
      const std::vector<float> down = run.values(fmt::format("{}.down.weight{}", layer, suffix)),
                               gate_up = run.values(fmt::format("{}.gate_up.weight{}", layer, suffix));
      REQUIRE(down.size() == 32 * kPadded);
      REQUIRE(gate_up.size() == 2 * kPadded * 32);
      size_t wrong = 0;
      for (size_t i = 0; i < down.size(); ++i) wrong += i % kPadded >= kFfn && down[i] != 0;
      for (size_t i = 0; i < gate_up.size(); ++i) wrong += i / 32 % kPadded >= kFfn && gate_up[i] != 0;
      CAPTURE(fmt::format("{} {}", layer, suffix));
      CHECK(wrong == 0);
    }
}

void check_padding(Backend& backend) {
  const TemporaryDirectory place;
  const ModelSource narrow = write_model(place / "narrow", kFfn), wide = write_model(place / "wide", kPadded);
  const std::tuple<const char*, std::vector<std::string>> runs[] = {{"fp32", {}}, {"bf16", {}}, {"bf16", k8bitStates}};
  for (const auto& [recipe, further] : runs) {
    CAPTURE(std::string(recipe));
    Run padded(backend, narrow, config_of(narrow, recipe, further)),
        explicit_zeros(backend, wide, config_of(wide, recipe, further));
    check_zeros(padded);
    CHECK(padded.evaluation_loss() == explicit_zeros.evaluation_loss());
    for (uint64_t s = 0; s < 4; ++s) {
      const abi::StepReport a = padded.step(s), b = explicit_zeros.step(s);
      CHECK(a.loss == b.loss);
      CHECK(a.grad_norm == b.grad_norm);
      CHECK(a.skipped == 0);
    }
    CHECK(padded.state() == explicit_zeros.state());
    CHECK(std::ranges::any_of(padded.values("layers.1.down.weight.m"), [](float x) { return x != 0; }));
    check_zeros(padded);
  }
}
ON_EXECUTORS("an odd ffn width gives the same bits as zeros in the file", check_padding)

void check_from_scratch(Backend& backend) {
  const TemporaryDirectory place;
  const ModelSource model = write_model(place / "model", kFfn);
  Run run(backend, model, config_of(model, "bf16", {"--model.from_scratch=true"}));
  check_zeros(run);
  const double first = run.step(0).loss;
  CHECK(first == doctest::Approx(std::log(96)).epsilon(0.02));
  CHECK(run.losses(6).back() < first);
  check_zeros(run);
}
ON_EXECUTORS("a model of an odd ffn width is trained from scratch", check_from_scratch)

// what was saved, by rows picked out of the parameter here
void check_file(const Run& run, const ModelFiles& files) {
  const std::vector<float> down = run.values("layers.1.down.weight"), gate_up = run.values("layers.1.gate_up.weight");
  std::vector<float> stored(32 * kFfn);
  files.read("model.layers.1.mlp.down_proj.weight", DType::f32, std::as_writable_bytes(std::span(stored)));
  for (size_t i = 0; i < stored.size(); ++i) CHECK(stored[i] == down[i / kFfn * kPadded + i % kFfn]);
  files.read("model.layers.1.mlp.up_proj.weight", DType::f32, std::as_writable_bytes(std::span(stored)));
  for (size_t i = 0; i < stored.size(); ++i) CHECK(stored[i] == gate_up[kPadded * 32 + i]);
}

// The state without the scales of rows that are padding: what they stand for is zero, whatever they are.
State state_of(const Run& run) {
  State state = run.state();
  for (auto& [name, bytes] : state)
    for (size_t row = 0; name.find("gate_up.weight.") != name.npos && name.ends_with("_scale") && row < bytes.size();
         ++row)
      if (row % kPadded >= kFfn) bytes[row] = {};
  return state;
}

// into a session whose every byte of state was something else
void check_saved(Backend& backend, const char* recipe, const std::vector<std::string>& further) {
  const TemporaryDirectory place;
  const ModelSource model = write_model(place / "model", kFfn);
  const RunConfig config = config_of(model, recipe, further);
  Run run(backend, model, config), restored(backend, model, config);
  run.losses(2);
  Manifest manifest;
  const auto optimizer = make_optimizer({}, precision_of(config));
  manifest.step = 2, manifest.backend = "none", manifest.inputs = {{"a", 1, "00"}};
  make_checkpoint_directory(place / "checkpoints");
  save_state(run.session(), nullptr, *optimizer, run.specs(), place / "checkpoints", manifest);
  const Checkpoint checkpoint(place / "checkpoints/step_00000002");
  const TensorDesc up{run.session().desc("layers.1.gate_up.weight.m").dtype, {kFfn, 32}};
  CHECK(checkpoint.bytes("model.layers.1.mlp.up_proj.weight.m", up).size() == up.bytes());

  for (const auto& [name, bytes] : restored.state())
    restored.session().write(name, std::vector<std::byte>(bytes.size(), std::byte{0x77}));
  restore_state(restored.session(), *optimizer, restored.specs(), checkpoint);
  CHECK(state_of(restored) == state_of(run));
  CHECK(restored.step(2).loss == run.step(2).loss);
  CHECK(restored.state() == run.state());

  save_model(run.session(), nullptr, model, precision_of(config), place / "saved");
  const ModelFiles saved(place / "saved");
  check_file(run, saved);
  const Run again(backend, {place / "saved", model.config}, config);
  for (const ParameterSpec& spec : run.specs()) CHECK(again.values(spec.name) == run.values(spec.name));
}
ON_EXECUTORS("a model of an odd ffn width is saved and restored in fp32", check_saved, "fp32",
             std::vector<std::string>{})
ON_EXECUTORS("a model of an odd ffn width is saved and restored in bf16", check_saved, "bf16",
             std::vector<std::string>{})
ON_EXECUTORS("a model of an odd ffn width is saved and restored with 8-bit states", check_saved, "bf16", k8bitStates)

}  // namespace
}  // namespace tandem::test
