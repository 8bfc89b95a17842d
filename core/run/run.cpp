#include "core/run/run.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <limits>
#include <thread>
#include <utility>

#include "core/base/file.h"
#include "core/base/stopwatch.h"
#include "core/base/system_memory.h"
#include "core/data/prefetcher.h"
#include "core/run/plan_record.h"
#include "core/run/save.h"
#include "core/run/schedule.h"
#include "core/run/settings.h"
#include "core/run/step_profile.h"
#include "core/step/evaluate.h"

namespace tandem {
namespace {

using Clock = std::chrono::steady_clock;

// The third step of this process, or the last one if there are fewer: the first ones warm up.
ProfiledStep profiled_step(const std::string& file, uint64_t first, uint64_t steps) {
  constexpr uint64_t kWarmUp = 2;
  return {file, std::min(first + kWarmUp, steps - 1)};
}

template <typename Metrics>
void write_line(Run& run, const Metrics& m) {
  if (!run.root()) return;
  run.directory().require_in_place();
  run.metrics->write(m);
}

uint32_t agree(const Engine& engine, uint32_t bits, std::string_view label) {
  return engine.world ? engine.world->agree(bits, label) : bits;
}

// Any rank may have got a signal.
bool asked_to_stop(const Run& run, const Engine& engine) {
  return agree(engine, run.signals.stop(), "stop") != 0;
}

bool asked_to_save(const Run& run, const Engine& engine) {
  return agree(engine, run.signals.take_save(), "save") != 0;
}

// A step that was submitted.
struct StepInFlight {
  uint64_t tokens = 0;   // inputs, padding left out
  uint64_t targets = 0;  // valid ones
  double rate = 0;
  Clock::time_point start;  // or the end of the step in front, where that one still ran
  double data_seconds = 0;  // waited for the loader
  StepRunner::Copies copies = StepRunner::Copies::untimed;
  StepRunner::Pending pending;
};

// Timestamps around each wait take a little, so only some steps have them: the third, and then one in many.
StepRunner::Copies copies_of(uint64_t step) {
  constexpr uint64_t kFirst = 3, kEvery = 25;
  const uint64_t steps = step + 1;
  return steps == kFirst || steps % kEvery == 0 ? StepRunner::Copies::timed : StepRunner::Copies::untimed;
}

// Submits the part of a step that changes no state.
StepInFlight begin(const Run& run, Engine& engine, uint64_t step, Prefetcher& batches) {
  const auto start = Clock::now();
  const StepBatch batch = batches.next();
  const double waited = seconds_since(start);
  const double rate = learning_rate(run.config, step);
  const StepRunner::Copies copies = copies_of(step);
  return {batch.tokens,
          batch.valid_targets,
          rate,
          start,
          waited,
          copies,
          engine.runner->begin(batch, step, rate, run.config.model.seed, copies)};
}

[[noreturn]] void fail_diverged(Run& run) {
  finish_saves(run);
  const std::string checkpoints = RunDirectory::checkpoints_of(run.config.run.directory);
  const auto good = last_good_checkpoint(checkpoints, run.position.step, run.position.t);
  fail(Exit::diverged, "train",
       "{} steps in a row had a loss or gradient norm that is not finite; lower optimizer.learning_rate or check the "
       "data{}",
       run.position.skipped,
       good ? fmt::format("; the last checkpoint from which a step was done is {}/{}", checkpoints,
                          checkpoint_name(*good))
            : "");
}

// Moves on by a step that is done: its line of metrics, and whether the run may go on.
void finish(Run& run, const Engine& engine, const StepInFlight& step, const abi::StepReport& report) {
  const double seconds = seconds_since(step.start);
  Position& at = run.position;
  ++at.step;
  at.tokens += step.tokens;
  const bool fp8 = engine.spec.precision.recipe == Recipe::fp8;
  const bool taught = step.targets > 0;  // Without any the device reports zeros.
  constexpr double kNone = std::numeric_limits<double>::quiet_NaN();
  const StepMetrics m{
      .step = at.step,
      .loss = taught ? report.loss : kNone,
      .grad_norm = taught ? report.grad_norm : kNone,
      .learning_rate = step.rate,
      .tokens = at.tokens,
      .targets = step.targets,
      .seconds = seconds,
      .tokens_per_second = double(step.tokens) / seconds,
      .mfu = engine.plan.prediction ? std::optional(engine.plan.prediction->products / seconds) : std::nullopt,
      .memory = device_memory(engine),
      .skipped = report.skipped != 0,
      .skipped_tensors =
          engine.spec.optimizer.clip_by != ClipBy::step ? std::optional(report.skipped_tensors) : std::nullopt,
      .data_seconds = step.data_seconds,
      .copies_timed = step.copies == StepRunner::Copies::timed,
      .copy_seconds =
          step.copies == StepRunner::Copies::timed ? engine.session->executable().copy_seconds() : std::nullopt,
      .save_seconds = std::exchange(run.saves.seconds, {}),
      .save_write_seconds = std::exchange(run.saves.write_seconds, {}),
      .scales = fp8 ? std::optional(ScaleGuesses{report.scale_misses, report.scale_guesses}) : std::nullopt,
      .health = run.root() ? engine.backend->health().value_or(Health{}) : Health{}};
  write_line(run, m);
  run.progress.step(m);
  if (taught) at.skipped = m.skipped || !std::isfinite(m.grad_norm) ? at.skipped + 1 : 0;
  at.t = report.updates;
  if (at.skipped >= run.config.run.max_skipped) fail_diverged(run);
  if (!m.skipped && std::exchange(run.saves.unproven, false)) keep_newest(run);
}

void profile_step(Run& run, Engine& engine, Prefetcher& batches) {
  const auto start = Clock::now();
  const StepBatch batch = batches.next();
  const double waited = seconds_since(start);
  const double rate = learning_rate(run.config, run.position.step);
  const StepRunner::Profile profile = engine.runner->profile(batch, run.position.step, rate, run.config.model.seed);
  if (run.root()) {
    const Program& program = engine.session->program();
    replace_file(run.profile.file, trace_of(program, profile.turns, engine.plan.rates));
    run.directory().require_in_place();
    replace_file(run.directory().profile(),
                 profile_text(program, profile.turns, run.position.step + 1, engine.plan.details));
  }
  finish(run, engine, {batch.tokens, batch.valid_targets, rate, start, waited, {}, {}}, profile.report);
}

// What is done behind so many steps, or of the profile in front of the next.
bool due_for_profile(const Run& run, uint64_t steps) {
  return !run.profile.file.empty() && steps == run.profile.step;
}

bool due_for_evaluation(const Run& run, uint64_t steps) {
  const uint64_t every = run.config.run.eval_every;
  return run.inputs.data.eval != nullptr && steps > 0 &&
         (steps == run.config.schedule.steps || (every > 0 && steps % every == 0));
}

bool next_follows_at_once(const Run& run, uint64_t steps) {
  return steps < run.config.schedule.steps && !due_for_evaluation(run, steps) && !due_for_profile(run, steps);
}

// Two steps are in flight: the next one has begun before this one is done, so that the device has work while the host
// writes a line, or a checkpoint. What has begun changes no parameter and no state: a run that stops leaves it there.
// ahead: this step, where it has begun; then the next.
void train_step(Run& run, Engine& engine, Prefetcher& batches, std::optional<StepInFlight>& ahead) {
  const uint64_t at = run.position.step;
  if (due_for_profile(run, at)) return profile_step(run, engine, batches);
  StepInFlight step = ahead ? *std::exchange(ahead, {}) : begin(run, engine, at, batches);
  engine.runner->go_on(step.pending);
  if (next_follows_at_once(run, at + 1)) ahead = begin(run, engine, at + 1, batches);
  const abi::StepReport report = engine.runner->finish(step.pending);
  if (ahead) ahead->start = Clock::now();
  finish(run, engine, step, report);
}

// A signal to stop breaks it off; the resumed run does it again.
void evaluate_now(Run& run, Engine& engine) {
  const auto start = Clock::now();
  const auto e = evaluate(*engine.runner, engine.world, *run.inputs.data.eval, run.config.run.eval_windows,
                          [&] { return asked_to_stop(run, engine); });
  if (!e) return;
  write_line(run, EvalMetrics{run.position.step, e->loss, e->tokens, seconds_since(start)});
  run.progress.message(
      fmt::format("step {}: evaluation loss {:.4f} over {} tokens", run.position.step, e->loss, e->tokens));
}

std::string describe(const Prediction& p, bool ranks) {
  std::string text = fmt::format("predicted: {:.3g} s per step", p.step);
  if (p.exposed_copy > 0) text += fmt::format(", {:.3g} s of them waiting for copies", p.exposed_copy);
  if (ranks) text += fmt::format(", {:.3g} s for other ranks", p.exposed_exchange);
  return text + fmt::format("; floor {:.3g} s", p.floor);
}

void announce(Run& run, const Engine& engine) {
  const auto say = [&](const std::string& text) { run.progress.message(text); };
  say(fmt::format("{}, {:.2f} GiB on the device", describe(name_of(engine.spec.precision.recipe), engine.device),
                  double(device_memory(engine)) / (1 << 30)));
  if (const auto& p = engine.plan.prediction) say(describe(*p, engine.world != nullptr));
  if (!engine.kernels.kernels.empty()) say(fmt::format("GEMM algorithms: {}", engine.kernels.text()));
  for (const std::string& line : describe_data(run.config, run.inputs.data, engine.spec.shape)) say(line);
  if (const SaveCopy& copy = engine.plan.details.save; !copy.fits()) say(fmt::format("saves: {}", describe(copy)));
  if (run.saves.newest) say(fmt::format("resumed after step {}", *run.saves.newest));
}

// Says when the first step was done, and what the process took beyond the plan by then: all that a run takes is taken
// once.
void tell_first_step(Run& run, const Engine& engine) {
  run.times.took("first step");
  run.progress.message(fmt::format("the first step was done after {}", run.times.text()));
  const std::optional<uint64_t> free = engine.backend->free_bytes();
  if (!free || run.config.distributed.ranks_per_device > 1) return;  // Other ranks took of it, too.
  const DeviceBudget budget = engine.backend->budget();
  const uint64_t planned = engine.session->device_bytes() + engine.backend->target().staging_bytes;
  if (const uint64_t more = overrun(budget, planned, *free); more > 0)
    run.progress.message(
        fmt::format("the first step took {} bytes more on the device than planned, or another program did; {} are left "
                    "for that, and "
                    "{} are free",
                    more, budget.margin, *free));
}

void save_result(Run& run, const Engine& engine) {
  const std::string& directory = run.config.run.directory;
  if (engine.spec.lora.on()) {
    const std::string adapter = RunDirectory::adapter_of(directory);
    save_adapter(*engine.session, engine.world, trainable_specs(engine.spec), adapter_config(run, engine), adapter);
    run.progress.message(fmt::format("the adapter is in {}", adapter));
    return;
  }
  const std::string model = RunDirectory::model_of(directory);
  save_model(*engine.session, engine.world, run.inputs.model, engine.spec.precision, model);
  run.progress.message(fmt::format("the model is in {}", model));
}

Exit stop(Run& run, const Engine& engine) {
  if (run.saves.newest != run.position.step) save_and_wait(run, engine);
  finish_saves(run);
  if (engine.world) engine.world->barrier("saved");  // A launcher may end all once one has.
  run.progress.message(fmt::format("stopped by a signal after step {}; go on with --resume", run.position.step));
  return Exit::interrupted;
}

Machine machine_of(const TrainOptions& options, const Engine& engine) {
  const Software software = engine.backend->software();
  return {.version = options.version,
          .commit = options.commit,
          .driver = software.driver,
          .libraries = software.libraries,
          .device = engine.device.name,
          .processors = std::thread::hardware_concurrency(),
          .memory_bytes = system_memory()};
}

// Makes the run directory, or goes on in the checkpoint's; true if the step resumed from was evaluated.
bool open_directory(const RunConfig& config, const TrainOptions& options, const Engine& engine, RunInputs& inputs,
                    const Position& at) {
  if (!inputs.directory) {
    require_empty(config.run.directory);
    inputs.directory = std::make_unique<RunDirectory>(config.run.directory);
    require_empty(config.run.directory);  // now that no other run can start in it
  }
  const RunDirectory& directory = *inputs.directory;
  directory.require_in_place();
  write_config(directory.config(), config);
  write_plan(directory.plan(), engine.device, engine.spec.shape, engine.plan.policy, offload_words(engine.spec),
             engine.plan.memory, device_bytes(engine.plan.memory, engine.backend->target()), engine.kernels,
             world_record(engine), json_of(engine.plan.details, machine_of(options, engine)));
  return cut_metrics(directory.metrics(), at.step);
}

}  // namespace

Run start_run(const RunConfig& config, Signals& signals, const TrainOptions& options, const Engine& engine,
              RunInputs inputs, StartTimes times) {
  const bool root = !engine.world || engine.world->seat().rank == 0;
  Position at;
  std::optional<uint64_t> saved;
  if (inputs.start.checkpoint) {
    at = inputs.start.checkpoint->manifest();
    saved = at.step;
  }
  inputs.start = {};
  const bool evaluated = agree(engine, root && open_directory(config, options, engine, inputs, at), "start") != 0;
  std::unique_ptr<MetricsWriter> metrics;
  if (root) metrics = std::make_unique<MetricsWriter>(inputs.directory->metrics());
  return {.config = config,
          .signals = signals,
          .inputs = std::move(inputs),
          .metrics = std::move(metrics),
          .progress = Progress(config.schedule.steps, at.tokens),
          .profile = profiled_step(options.profile, at.step, config.schedule.steps),
          .times = std::move(times),
          .position = at,
          .evaluated = evaluated,
          .saves = {.newest = saved, .writer = root ? std::make_unique<Background>() : nullptr}};
}

Exit train_steps(Run& run, Engine& engine) {
  const uint64_t first = run.position.step, steps = run.config.schedule.steps;
  Prefetcher batches(*run.inputs.data.train, run.position.step, steps);
  announce(run, engine);
  if (run.saves.newest && !run.evaluated && due_for_evaluation(run, first)) evaluate_now(run, engine);
  std::optional<StepInFlight> ahead;
  bool stopped = asked_to_stop(run, engine);
  while (!stopped && run.position.step < steps) {
    train_step(run, engine, batches, ahead);
    collect_saves(run);
    const uint64_t step = run.position.step;
    if (step == first + 1) tell_first_step(run, engine);
    if (due_for_evaluation(run, step)) evaluate_now(run, engine);
    const bool asked = asked_to_save(run, engine);
    if (step == steps) save_and_wait(run, engine);
    else if (asked || step % run.config.checkpoint.every == 0) save(run, engine);
    stopped = asked_to_stop(run, engine);
  }
  if (stopped) return stop(run, engine);
  if (run.root()) run.directory().require_in_place();
  save_result(run, engine);
  return Exit::ok;
}

}  // namespace tandem
