#include "tests/golden/run.h"

#include <cstdlib>

#include "core/abi/numeric.h"
#include "core/optimizer/optimizer.h"
#include "core/step/state.h"
#include "tests/support/tensor.h"

namespace tandem::test {
namespace {

std::string cases_directory() {
  const char* root = std::getenv("TANDEM_SOURCE_ROOT");
  return std::string(root ? root : ".") + "/tests/golden/cases/";
}

StepShape shape_of(const RunConfig& config, const ModelConfig& model, const Precision& precision) {
  return with_head_chunks(
      {config.batch.micro_batch.value(), config.batch.gradient_accumulation.value(), config.data.sequence_length, 1},
      model, precision, config.memory.lm_head_chunks);
}

std::vector<std::byte> bytes_of_binding(const Session& session, const std::string& name) {
  std::vector<std::byte> bytes(session.desc(name).bytes());
  session.read(name, bytes);
  return bytes;
}

std::vector<float> floats(const TensorFile& file, const std::string& name) {
  std::vector<float> values(file.info(name).shape.count());
  file.read(name, DType::f32, std::as_writable_bytes(std::span(values)));
  return values;
}

// Stores the streams of some windows of one token file, and has all of these read them.
void attach_streams(Backend& backend, const ModelSource& model, const StepSpec& spec, const std::string& directory,
                    std::initializer_list<Windows*> all) {
  const Windows& windows = **all.begin();
  const StreamHeader header{.hidden = spec.model.hidden,
                            .layer = spec.model.first_layer,
                            .sequence_length = spec.shape.sequence_length,
                            .windows = windows.count(),
                            .recipe = std::string(name_of(spec.precision.recipe))};
  const std::string path = directory + "/streams";
  {
    LayersBelow below(backend, backend.target(), spec);
    load_parameters(below.session(), model, open_weights(model));
    StreamWriter writer(path, header);
    for (uint64_t w = 0; w < windows.count();) {
      const LayersBelow::Streams streams = below.run(windows, w, windows.count());
      writer.append(streams.codes, streams.scales);
      w += streams.windows;
    }
    writer.finish();
  }
  for (Windows* some : all) some->attach(0, std::make_shared<StreamFile>(path, header));
}

}  // namespace

std::string case_path(const std::string& file) {
  return cases_directory() + file;
}

Golden::Golden(const std::string& name) : directory(cases_directory() + name) {
  const std::string path = directory + "/golden.json";
  values = parse_json(read_text(path), path);
  model = open_model(cases_directory() + values.value("base", name));
}

RunConfig Golden::config(const std::vector<std::string>& overrides) const {
  const Json& o = values.at("optimizer");
  std::string text = fmt::format(
      "[model]\npath = \"{}\"\n[data]\ntrain = [\"{}/train.bin\"]\nshuffle = false\nsequence_length = {}\n"
      "[batch]\nmicro_batch = {}\ngradient_accumulation = {}\n"
      "[schedule]\nsteps = {}\nwarmup_steps = {}\nkind = {}\nfinal_fraction = {}\n[run]\ndirectory = \"unused\"\n",
      model.path, model.path, values.at("sequence_length").dump(), values.at("micro_batch").dump(),
      values.at("gradient_accumulation").dump(), values.at("steps").dump(), values.at("warmup_steps").dump(),
      values.at("kind").dump(), values.at("final_fraction").dump());
  text += "[optimizer]\n";
  for (const auto& [key, value] : o.items()) text += fmt::format("{} = {}\n", key, value.dump());
  if (values.contains("base")) text += fmt::format("[lora]\nadapter = \"{}/adapter\"\n", directory);
  return parse_config(text, "golden.toml", overrides);
}

Run::Run(Backend& backend, const ModelSource& model, const RunConfig& config, const MemoryPolicy& policy,
         const Rank& rank)
    : config_(config), world_(rank.world) {
  const Precision precision = precision_of(config);
  const std::optional<AdapterDirectory> adapter = configured_adapter(config.lora, model.config);
  StepSpec spec{.model = model.config, .lora = lora_of(config.lora, adapter)};
  specs_ = trainable_specs(spec);
  const StepShape shape = shape_of(config, model.config, precision);
  check_multiples(model.config, precision, shape.rows());
  eval_ = std::make_unique<Windows>(open_windows(open_token_files(config.data.train, model.config.vocabulary),
                                                 {.sequence_length = shape.sequence_length}));
  loader_ = std::make_unique<Loader>(*eval_, LoaderOptions{.micro_batch = shape.micro_batch,
                                                           .accumulation = shape.accumulation,
                                                           .rank = rank.world ? rank.world->seat().rank : 0,
                                                           .ranks = rank.sharding.ranks});
  if (rank.world) backend.join(*rank.world, "auto");
  spec = replayed({model.config, precision, config.optimizer, shape, rank.sharding, spec.lora, {}}, config.replay);
  if (config.replay.on())
    attach_streams(backend, model, spec, config.replay.directory, {&loader_->sources()[0], eval_.get()});
  Compiled compiled = compile_step(spec, policy, backend.target());
  plan_ = compiled.memory;
  if (rank.world) compiled.program = for_rank(std::move(compiled.program), rank.world->seat().rank);
  session_ = std::make_unique<Session>(backend, std::move(compiled.program));
  runner_ = std::make_unique<StepRunner>(*session_, shape, rope_table(model.config, shape.sequence_length));
  if (config.model.from_scratch) initialise_parameters(*session_, model, config.model.seed);
  else load_parameters(*session_, model, open_weights(model));
  if (adapter) load_adapter(*session_, *adapter, specs_);
  else if (spec.lora.on()) initialise_adapter(*session_, specs_, config.model.seed, false);
}

abi::StepReport Run::step(uint64_t s) {
  return step(loader_->step(s), s);
}

abi::StepReport Run::step(const StepBatch& batch, uint64_t s) {
  return runner_->finish(runner_->train(batch, s, learning_rate(config_, s), config_.model.seed));
}

std::vector<double> Run::losses(uint64_t steps) {
  std::vector<double> losses;
  for (uint64_t s = 0; s < steps; ++s) losses.push_back(step(s).loss);
  return losses;
}

double Run::evaluation_loss() {
  return evaluate(*runner_, *eval_).loss;
}

std::vector<float> Run::values(const std::string& binding) const {
  std::vector<std::byte> bytes = bytes_of_binding(*session_, binding);
  const Tensor tensor(session_->desc(binding), bytes.data());
  std::vector<float> values(tensor.size());
  for (uint64_t i = 0; i < values.size(); ++i) values[i] = float(tensor.get(i));
  return values;
}

State Run::state() const {
  State state;
  const auto append = [&](const std::string& name, const Shape& whole) {
    std::vector<std::byte> bytes;
    read_stored(*session_, world_, name, {.shape = whole, .place = whole}, bytes);
    state.emplace_back(name, std::move(bytes));
  };
  const auto optimizer = make_optimizer(config_.optimizer, precision_of(config_));
  for (const ParameterSpec& spec : specs_) {
    append(spec.name, spec.shape);
    for (const auto& kept : optimizer->states(spec)) append(spec.name + kept.suffix, kept.desc.shape);
  }
  return state;
}

double nmse(const std::vector<float>& candidate, const std::vector<float>& reference) {
  REQUIRE(candidate.size() == reference.size());
  double error = 0, size = 0;
  for (size_t i = 0; i < candidate.size(); ++i) {
    error += std::pow(double(candidate[i]) - reference[i], 2);
    size += std::pow(double(reference[i]), 2);
  }
  REQUIRE(size > 0);
  return error / size;
}

double relative_difference(double candidate, double reference) {
  return std::abs(candidate - reference) / std::abs(reference);
}

double worst_nmse(const Run& run, const std::string& suffix, const std::string& safetensors) {
  const TensorFile file(safetensors);
  double worst = 0;
  size_t compared = 0;
  for (const ParameterSpec& spec : run.specs()) {
    const std::vector<float> whole = run.values(spec.name + suffix);
    for (const StoredTensor& part : spec.parts) {
      std::vector<float> stored(part.shape.count());
      for (uint64_t e = 0; e < stored.size(); ++e) stored[e] = whole[part.first + part.position(e)];
      const double error = nmse(stored, floats(file, part.name));
      INFO(part.name, suffix, ": NMSE ", error);
      CHECK(std::isfinite(error));
      worst = std::max(worst, std::isfinite(error) ? error : HUGE_VAL);
      ++compared;
    }
  }
  CHECK(compared == file.tensors().size());
  return worst;
}

}  // namespace tandem::test
