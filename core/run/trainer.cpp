#include "core/run/trainer.h"

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <limits>
#include <optional>
#include <utility>

#include "core/base/file.h"
#include "core/plan/fit.h"
#include "core/plan/prediction.h"
#include "core/run/metrics.h"
#include "core/run/plan_record.h"
#include "core/run/progress.h"
#include "core/run/resume.h"
#include "core/run/run_data.h"
#include "core/run/run_directory.h"
#include "core/run/saved_state.h"
#include "core/run/schedule.h"
#include "core/run/settings.h"
#include "core/run/signals.h"
#include "core/run/step_profile.h"
#include "core/step/evaluate.h"
#include "core/step/parameters.h"

namespace tandem {
namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

StepShape shape_of(const RunConfig& config, const ModelConfig& model, const Precision& precision) {
  const StepShape shape{config.batch.micro_batch, config.batch.gradient_accumulation, config.data.sequence_length, 1};
  return with_head_chunks(shape, model, precision, config.memory.lm_head_chunks);
}

// A large device takes large chunks of the LM head: products of few rows leave it idle.
uint64_t logit_bytes(const Target& target) {
  constexpr uint64_t kMost = uint64_t{1} << 30;
  return std::max(kLogitBytes, std::min({kMost, target.memory_bytes / 64, target.largest_chunk / 2}));
}

class Trainer {
 public:
  Trainer(const RunConfig& config, const Registry& registry, const TrainOptions& options)
      : config_(config),
        profile_path_(options.profile),
        precision_(precision_of(config)),
        model_(open_model(config.model.path)),
        shape_(shape_of(config, model_.config, precision_)),
        policy_(policy_of(config.memory)),
        inputs_(run_inputs(config)) {
    std::optional<Checkpoint> from;
    if (options.resume) from.emplace(open_checkpoint());
    else require_empty(config_.run.directory);
    check_fp8(model_.config, precision_, shape_.rows());
    check_copied_files(model_.path);
    check_profile();
    data_ = open_data(config_, model_, shape_);
    std::optional<ModelFiles> weights;
    if (!from && !config_.model.from_scratch) weights.emplace(open_weights(model_));
    open_device(registry);
    if (from) restore_state(*session_, parameter_specs(model_.config), *from);
    else if (weights) load_parameters(*session_, model_, *weights, precision_);
    else initialise_parameters(*session_, model_, precision_, config_.model.seed);
  }

  Exit run() {
    start_directory();
    Prefetcher batches(*data_.train, done_, config_.schedule.steps);
    Progress progress(config_.schedule.steps, tokens_per_step());
    progress.message(fmt::format("{}, {:.2f} GiB on the device", describe(name_of(precision_.recipe), device_),
                                 double(memory_) / (1 << 30)));
    if (predicted_)
      progress.message(fmt::format("predicted: {:.3g} s a step, {:.3g} s of them waiting for copies; floor {:.3g} s",
                                   predicted_->step, predicted_->exposed_copy, predicted_->floor));
    if (saved_) progress.message(fmt::format("resumed after step {}", done_));
    if (saved_ && !evaluated_ && due_for_evaluation()) evaluate_now(progress);
    while (!signals_.stop() && done_ < config_.schedule.steps) {
      train_step(batches, progress);
      if (due_for_evaluation()) evaluate_now(progress);
      const bool asked = signals_.take_save();
      if (asked || done_ % config_.checkpoint.every == 0 || done_ == config_.schedule.steps) save(progress);
    }
    if (signals_.stop()) {
      if (saved_ != done_) save(progress);
      progress.message(fmt::format("stopped by a signal after step {}; go on with --resume", done_));
      return Exit::interrupted;
    }
    directory_->require_in_place();
    save_model(*session_, model_, precision_, directory_->model());
    progress.message(fmt::format("the model is in {}", directory_->model()));
    return Exit::ok;
  }

 private:
  uint64_t tokens_per_step() const { return uint64_t(shape_.rows()) * shape_.accumulation; }

  // it is written after some steps, which a wrong path would waste
  void check_profile() const {
    namespace fs = std::filesystem;
    const auto clean = [](const fs::path& directory) { return (directory / "").lexically_normal(); };
    const fs::path file(profile_path_), directory = file.parent_path(), run = clean(config_.run.directory);
    std::error_code none;
    if (!file.empty() && (is_directory(file, none) || clean(file) == run))
      fail(Exit::storage, profile_path_, "is a directory; name a file for the profile");
    if (!directory.empty() && !is_directory(directory, none) && clean(directory) != run)
      fail(Exit::storage, profile_path_, "the directory that it is to stand in is not there");
  }

  // the run goes on after it, with the LM-head chunks and kernels that it had
  Checkpoint open_checkpoint() {
    std::error_code none;
    if (!std::filesystem::is_directory(config_.run.directory, none))
      fail(Exit::input, config_.run.directory, "is no directory, so there is no run to resume; leave --resume out");
    directory_.emplace(config_.run.directory);
    Checkpoint from = newest_checkpoint(directory_->checkpoints());
    const Manifest& manifest = from.manifest();
    check_resume(manifest, config_, inputs_);
    remove_unfinished(directory_->checkpoints());
    shape_.head_chunks = manifest.head_chunks;
    kernels_ = manifest.kernels;
    saved_ = done_ = manifest.step;
    sequence_ = manifest.sequence;
    skipped_ = manifest.skipped;
    updates_ = manifest.t;
    return from;
  }

  // The step as configured where that fits, or else what the planner makes of the keys that are "auto".
  Compiled compile_for(const Target& target, bool resumed) {
    StepShape large = shape_;
    if (!resumed && !config_.memory.lm_head_chunks)
      large.head_chunks = choose_head_chunks(model_.config, precision_, shape_, logit_bytes(target));
    try {
      Compiled compiled = compile_step(model_.config, precision_, config_.optimizer, large, policy_, target);
      shape_ = large;
      return compiled;
    } catch (const Error& e) {
      if (e.exit() != Exit::does_not_fit) throw;
    }
    PlanRequest request = plan_request(config_, model_.config, precision_, shape_, target);
    if (resumed) request.limits.lm_head_chunks = shape_.head_chunks;
    StepPlan plan = plan_step(request);
    if (!plan.fits())
      return compile_step_or_suggest(model_.config, precision_, config_.optimizer, shape_, policy_, target);
    policy_ = plan.chosen.policy;
    shape_.head_chunks = policy_.lm_head_chunks;
    return std::move(*plan.compiled);
  }

  void open_device(const Registry& registry) {
    device_ = registry.choose(config_.run.backend);
    check_recipe(device_, name_of(precision_.recipe));
    backend_ = registry.open(device_);
    backend_->use(kernels_);
    const Target target = with_measured_rates(within_budget(backend_->target(), config_.memory));
    Compiled compiled = compile_for(target, saved_.has_value());
    if (has_rates(target)) {
      const PlanRequest request = plan_request(config_, model_.config, precision_, shape_, target);
      rates_ = request.target.rates;
      predicted_ = predict_step(request, compiled.program);
    }
    plan_ = std::move(compiled.memory);
    session_ = std::make_unique<Session>(*backend_, std::move(compiled.program));
    memory_ = session_->device_bytes() + target.staging_bytes + target.reserve_bytes;
    runner_ = std::make_unique<StepRunner>(*session_, shape_, rope_table(model_.config, shape_.sequence_length));
  }

  void start_directory() {
    if (!directory_) {
      require_empty(config_.run.directory);
      directory_.emplace(config_.run.directory);
      require_empty(config_.run.directory);  // now that no other run can start in it
    }
    directory_->require_in_place();
    write_config(directory_->config(), config_);
    write_plan(directory_->plan(), device_, shape_, policy_, plan_, device_bytes(plan_, backend_->target()),
               backend_->kernel_choices());
    evaluated_ = cut_metrics(directory_->metrics(), done_);
    metrics_.emplace(directory_->metrics());
  }

  abi::StepReport run_step(const StepBatch& batch, double rate) {
    constexpr uint64_t kWarmUp = 2;  // steps before the one whose times are taken
    ++steps_here_;
    const bool profiled = !profile_path_.empty() && (steps_here_ == kWarmUp + 1 ||
                                                     (steps_here_ <= kWarmUp && done_ + 1 == config_.schedule.steps));
    if (!profiled) return runner_->finish(runner_->train(batch, done_, rate, config_.model.seed));
    const StepRunner::Profile profile = runner_->profile(batch, done_, rate, config_.model.seed);
    replace_file(profile_path_, trace_of(session_->program(), profile.ranges, rates_));
    return profile.report;
  }

  void train_step(Prefetcher& batches, Progress& progress) {
    const auto start = Clock::now();
    const StepBatch batch = batches.next();
    const double rate = learning_rate(config_, done_);
    const abi::StepReport report = run_step(batch, rate);
    const double seconds = seconds_since(start);
    ++done_;
    const bool taught = batch.valid_targets > 0;  // without any the device reports zeros
    constexpr double kNone = std::numeric_limits<double>::quiet_NaN();
    const StepMetrics m{.step = done_,
                        .loss = taught ? report.loss : kNone,
                        .grad_norm = taught ? report.grad_norm : kNone,
                        .learning_rate = rate,
                        .tokens = done_ * tokens_per_step(),
                        .targets = batch.valid_targets,
                        .seconds = seconds,
                        .tokens_per_second = double(tokens_per_step()) / seconds,
                        .mfu = predicted_ ? std::optional(predicted_->products / seconds) : std::nullopt,
                        .memory = memory_,
                        .skipped = report.skipped != 0};
    write_line(m);
    progress.step(m);
    if (taught) skipped_ = m.skipped ? skipped_ + 1 : 0;
    updates_ = report.t;
    if (skipped_ >= config_.run.max_skipped) fail_diverged();
    if (!m.skipped && std::exchange(unproven_, false))
      rotate_checkpoints(directory_->checkpoints(), *saved_, config_.checkpoint.keep);
  }

  template <typename Metrics>
  void write_line(const Metrics& m) {
    directory_->require_in_place();
    metrics_->write(m);
  }

  [[noreturn]] void fail_diverged() const {
    const auto good = last_good_checkpoint(directory_->checkpoints(), done_, updates_);
    fail(Exit::diverged, "train",
         "{} steps in a row had a loss or gradient norm that is not finite; lower optimizer.learning_rate or check the "
         "data{}",
         skipped_,
         good ? fmt::format("; the last checkpoint from which a step was done is {}/{}", directory_->checkpoints(),
                            checkpoint_name(*good))
              : "");
  }

  bool due_for_evaluation() const {
    const uint64_t every = config_.run.eval_every;
    return data_.eval != nullptr && done_ > 0 && (done_ == config_.schedule.steps || (every > 0 && done_ % every == 0));
  }

  // a signal to stop breaks it off; the resumed run does it again
  void evaluate_now(Progress& progress) {
    const auto e = evaluate(*runner_, *data_.eval, config_.run.eval_windows, [&] { return signals_.stop(); });
    if (!e) return;
    write_line(EvalMetrics{done_, e->loss, e->tokens});
    progress.message(fmt::format("step {}: evaluation loss {:.4f} over {} tokens", done_, e->loss, e->tokens));
  }

  void save(Progress& progress) {
    const auto start = Clock::now();
    directory_->require_in_place();
    metrics_->sync();
    save_state(*session_, parameter_specs(model_.config), directory_->checkpoints(),
               {.step = done_,
                .sequence = ++sequence_,
                .tokens = done_ * tokens_per_step(),
                .t = 0,
                .skipped = skipped_,
                .config = config_text(config_),
                .backend = device_.backend,
                .device = device_.name,
                .head_chunks = shape_.head_chunks,
                .kernels = backend_->kernel_choices(),
                .inputs = inputs_,
                .files = {}});
    directory_->require_in_place();
    // until a step from it is done, the one before may be the last good one
    unproven_ = done_ < config_.schedule.steps;
    rotate_checkpoints(directory_->checkpoints(), done_, config_.checkpoint.keep,
                       unproven_ ? last_good_checkpoint(directory_->checkpoints(), done_, updates_) : std::nullopt);
    saved_ = done_;
    progress.message(fmt::format("saved step {} in {:.2f} s", done_, seconds_since(start)));
  }

  Signals signals_;  // first: one that comes while all below is opened counts
  RunConfig config_;
  std::string profile_path_;
  Precision precision_;
  ModelSource model_;
  StepShape shape_;
  MemoryPolicy policy_;
  std::vector<InputFile> inputs_;
  std::optional<RunDirectory> directory_;
  RunData data_;
  DeviceInfo device_;
  std::unique_ptr<Backend> backend_;
  std::unique_ptr<Session> session_;
  std::unique_ptr<StepRunner> runner_;
  std::optional<MetricsWriter> metrics_;
  MemoryPlan plan_;
  KernelChoices kernels_;                // of the run resumed from
  uint64_t memory_ = 0;                  // device bytes, as allocated
  Rates rates_;                          // of the device; unknown ones are 0
  std::optional<Prediction> predicted_;  // none where they are not known
  uint64_t done_ = 0, steps_here_ = 0;   // steps of the run, of this process
  uint64_t sequence_ = 0;
  std::optional<uint64_t> saved_;  // the step of the newest checkpoint
  bool evaluated_ = false;         // at the step resumed from
  bool unproven_ = false;          // no step was done since the newest checkpoint, which this process wrote
  uint32_t skipped_ = 0;           // steps in a row, those without targets left out
  uint32_t updates_ = 0;           // AdamW's t
};

}  // namespace

Exit train(const RunConfig& config, const Registry& registry, const TrainOptions& options) {
  return Trainer(config, registry, options).run();
}

}  // namespace tandem
