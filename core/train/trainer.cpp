#include "core/train/trainer.h"

#include <chrono>
#include <filesystem>

#include "core/base/file.h"
#include "core/data/tokenizer.h"
#include "core/train/evaluate.h"
#include "core/train/metrics.h"
#include "core/train/plan_record.h"
#include "core/train/progress.h"
#include "core/train/schedule.h"
#include "core/train/setup.h"

namespace tandem {
namespace {

namespace fs = std::filesystem;
using Clock = std::chrono::steady_clock;

StepShape shape_of(const RunConfig& config, const ModelConfig& model, const Precision& precision) {
  const StepShape shape{config.batch.micro_batch, config.batch.gradient_accumulation, config.data.sequence_length, 1};
  return with_head_chunks(shape, model, precision, config.memory.lm_head_chunks);
}

void require_empty(const std::string& directory) {
  std::error_code error;
  if (fs::exists(directory, error) && !(fs::is_directory(directory, error) && fs::is_empty(directory, error)))
    fail(Exit::configuration, "run.directory", "{} is not an empty directory; use another, or remove it", directory);
}

class Trainer {
 public:
  Trainer(const RunConfig& config, const Registry& registry)
      : config_(config),
        precision_(precision_of(config)),
        model_(open_model(config.model.path)),
        shape_(shape_of(config, model_.config, precision_)) {
    require_empty(config_.run.directory);
    check_fp8(model_.config, precision_, shape_.rows());
    open_data();
    open_device(registry);
    fill_parameters();
  }

  void run() {
    start_directory();
    Prefetcher batches(*loader_, 0, config_.schedule.steps);
    Progress progress(config_.schedule.steps, tokens_per_step());
    progress.message(fmt::format("{} on {}:{} ({}), {:.2f} GiB on the device", name_of(precision_.recipe),
                                 device_.backend, device_.index, device_.name, double(memory_) / (1 << 30)));
    for (uint64_t step = 0; step < config_.schedule.steps; ++step) {
      train_step(step, batches, progress);
      if (due_for_evaluation(step + 1)) evaluate_now(step + 1, progress);
    }
    save_model(*session_, model_, precision_, config_.run.directory + "/model");
    progress.message(fmt::format("the model is in {}/model", config_.run.directory));
  }

 private:
  uint64_t tokens_per_step() const { return uint64_t(shape_.rows()) * shape_.accumulation; }

  void open_data() {
    if (shape_.sequence_length > model_.config.max_positions)
      warn(fmt::format("data.sequence_length {} is above the model's max_position_embeddings {}",
                       shape_.sequence_length, model_.config.max_positions));
    const LoaderOptions options = loader_options();
    loader_ = std::make_unique<Loader>(open_token_files(config_.data.train, model_.config.vocabulary), options);
    if (!config_.data.eval.empty())
      eval_ = std::make_unique<EvalWindows>(open_token_files(config_.data.eval, model_.config.vocabulary), options);
  }

  LoaderOptions loader_options() const {
    const RunConfig::Data& d = config_.data;
    LoaderOptions options{.sequence_length = shape_.sequence_length,
                          .micro_batch = shape_.micro_batch,
                          .accumulation = shape_.accumulation,
                          .shuffle = d.shuffle,
                          .seed = d.seed,
                          .separate_documents = d.separate_documents};
    if (d.separate_documents) options.document_end = document_end();
    return options;
  }

  // data.document_end, or with "auto" the tokenizer's end token, or else the model's
  int32_t document_end() const {
    if (config_.data.document_end) return int32_t(*config_.data.document_end);
    if (const auto tokenizer = open_tokenizer(model_.path, model_.config.vocabulary)) return tokenizer->document_end();
    if (model_.config.eos_ids.empty())
      fail(Exit::configuration, "data.document_end", "auto finds no end token in {}; give the token id", model_.path);
    return int32_t(model_.config.eos_ids.front());
  }

  void open_device(const Registry& registry) {
    device_ = registry.choose(config_.run.backend);
    check_recipe(device_, precision_);
    backend_ = registry.open(device_);
    Compiled compiled =
        compile(build_step_graph(model_.config, precision_, config_.optimizer, shape_), backend_->target());
    plan_ = std::move(compiled.memory);
    session_ = std::make_unique<Session>(*backend_, std::move(compiled.program));
    memory_ = session_->device_bytes() + backend_->target().reserve_bytes;
    runner_ = std::make_unique<StepRunner>(*session_, shape_, rope_table(model_.config, shape_.sequence_length));
  }

  void fill_parameters() {
    if (config_.model.from_scratch) initialise_parameters(*session_, model_, precision_, config_.model.seed);
    else load_parameters(*session_, model_, precision_);
  }

  void start_directory() {
    std::error_code error;
    fs::create_directories(config_.run.directory, error);
    if (error) fail(Exit::storage, config_.run.directory, "cannot be created: {}", error.message());
    write_config(config_.run.directory + "/config.toml", config_);
    write_plan(config_.run.directory + "/plan.json", device_, shape_, plan_, memory_);
    metrics_ = std::make_unique<MetricsWriter>(config_.run.directory + "/metrics.jsonl");
  }

  void train_step(uint64_t step, Prefetcher& batches, Progress& progress) {
    const auto start = Clock::now();
    const StepBatch batch = batches.next();
    const double rate = learning_rate(config_, step);
    const abi::StepReport report = runner_->finish(runner_->train(batch, step, rate, config_.model.seed));
    const double seconds = std::chrono::duration<double>(Clock::now() - start).count();
    const StepMetrics m{.step = step + 1,
                        .loss = report.loss,
                        .grad_norm = report.grad_norm,
                        .learning_rate = rate,
                        .tokens = (step + 1) * tokens_per_step(),
                        .targets = batch.valid_targets,
                        .seconds = seconds,
                        .tokens_per_second = double(tokens_per_step()) / seconds,
                        .mfu = {},
                        .memory = memory_,
                        .skipped = report.skipped != 0};
    metrics_->write(m);
    progress.step(m);
    skipped_ = m.skipped ? skipped_ + 1 : 0;
    if (skipped_ >= config_.run.max_skipped)
      fail(Exit::diverged, "train",
           "{} steps in a row had a loss or gradient norm that is not finite; lower optimizer.learning_rate "
           "or check the data",
           skipped_);
  }

  bool due_for_evaluation(uint64_t done) const {
    return eval_ != nullptr &&
           (done == config_.schedule.steps || (config_.run.eval_every > 0 && done % config_.run.eval_every == 0));
  }

  void evaluate_now(uint64_t done, Progress& progress) {
    const Evaluation e = evaluate(*runner_, *eval_, config_.run.eval_windows);
    metrics_->write(EvalMetrics{done, e.loss, e.tokens});
    progress.message(fmt::format("step {}: evaluation loss {:.4f} over {} tokens", done, e.loss, e.tokens));
  }

  RunConfig config_;
  Precision precision_;
  ModelSource model_;
  StepShape shape_;
  std::unique_ptr<Loader> loader_;
  std::unique_ptr<EvalWindows> eval_;
  DeviceInfo device_;
  std::unique_ptr<Backend> backend_;
  std::unique_ptr<Session> session_;
  std::unique_ptr<StepRunner> runner_;
  std::unique_ptr<MetricsWriter> metrics_;
  MemoryPlan plan_;
  uint64_t memory_ = 0;   // device bytes
  uint32_t skipped_ = 0;  // steps in a row
};

}  // namespace

Exit train(const RunConfig& config, const Registry& registry) {
  Trainer(config, registry).run();
  return Exit::ok;
}

}  // namespace tandem
