#include "core/run/save.h"

#include "core/base/size.h"
#include "core/base/stopwatch.h"
#include "core/base/system_memory.h"

namespace tandem {
namespace {

using Clock = std::chrono::steady_clock;

Manifest manifest_of(const Run& run, const Engine& engine) {
  return {run.position,
          config_text(run.config),
          engine.device.backend,
          engine.device.name,
          engine.spec.shape.micro_batch,
          engine.spec.shape.accumulation,
          engine.spec.shape.head_chunks,
          engine.kernels.kernels,
          world_record(engine),
          run.inputs.files,
          {},
          adapter_config(run, engine),
          run.inputs.base,
          {}};
}

// The root's: a checkpoint of the position, with its lines of metrics on the disk before it; then old ones go.
// unproven: until a step from it is done, the one before may be the last good one.
template <typename Write>
void write_save(const Run& run, const Position& at, bool unproven, const Write& write) {
  const std::string checkpoints = run.directory().checkpoints();
  run.metrics->sync();
  run.directory().require_in_place();
  write(checkpoints);
  run.directory().require_in_place();
  rotate_checkpoints(checkpoints, at.step, run.config.checkpoint.keep,
                     unproven ? last_good_checkpoint(checkpoints, at.step, at.t) : std::nullopt);
}

// False, having said so, where memory that the plan counted on has gone elsewhere.
bool reserve_copy(Run& run, uint64_t bytes) {
  if (run.saves.copy.reserve(bytes)) return true;
  run.progress.message(
      fmt::format("the host has {} left, and a copy of the state takes {}: this save waits for the disk",
                  size_text(available_system_memory()), size_text(bytes)));
  return false;
}

void save(Run& run, const Engine& engine, bool goes_on) {
  const auto start = Clock::now();
  finish_saves(run);
  ++run.position.sequence;
  const Position at = run.position;
  const auto optimizer = make_optimizer(engine.spec.optimizer, engine.spec.precision);
  const std::vector<ParameterSpec> specs = trainable_specs(engine.spec);
  const auto save_now = [&](const std::string& checkpoints) {
    save_state(*engine.session, engine.world, *optimizer, specs, checkpoints, manifest_of(run, engine));
  };
  run.saves.newest = at.step;
  if (!run.root()) return save_now({});
  run.directory().require_in_place();
  make_checkpoint_directory(run.directory().checkpoints());  // Here: a thread would make it in another run's place.
  const bool unproven = run.saves.unproven = at.step < run.config.schedule.steps;
  const auto waited = [&] { return run.saves.seconds.emplace(run.saves.seconds.value_or(0) + seconds_since(start)); };
  const SaveCopy& copy = engine.plan.details.save;
  if (!goes_on || !copy.fits() || !reserve_copy(run, copy.bytes)) {
    write_save(run, at, unproven, save_now);
    return run.progress.message(fmt::format("saved step {} in {:.2f} s", at.step, waited()));
  }
  run.saves.copy.take(*engine.session, engine.world, *optimizer, specs, manifest_of(run, engine));
  const double held_up = waited();
  run.saves.writer->start(
      [&run, at, unproven] {
        write_save(run, at, unproven, [&](const std::string& checkpoints) { run.saves.copy.write(checkpoints); });
      },
      [&run, at, held_up](double seconds) {
        run.saves.write_seconds = seconds;
        run.progress.message(fmt::format("saved step {} in {:.2f} s; training waited for {:.2f} s", at.step,
                                         held_up + seconds, held_up));
      });
}

}  // namespace

void save(Run& run, const Engine& engine) {
  save(run, engine, true);
}

void save_and_wait(Run& run, const Engine& engine) {
  save(run, engine, false);
}

void collect_saves(Run& run) {
  if (run.root()) run.saves.writer->collect();
}

void finish_saves(Run& run) {
  if (run.root()) run.saves.writer->finish();
}

void keep_newest(Run& run) {
  run.saves.writer->start([&run, newest = *run.saves.newest] {
    run.directory().require_in_place();
    rotate_checkpoints(run.directory().checkpoints(), newest, run.config.checkpoint.keep);
  });
}

std::string adapter_config(const Run& run, const Engine& engine) {
  const Lora& lora = engine.spec.lora;
  return lora.on() ? adapter_config_text(lora, engine.spec.model, run.config.model.path) : "";
}

}  // namespace tandem
