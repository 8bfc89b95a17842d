// Drives a loaded step Program: fills the input slot of a step, submits its ranges, reads its report.
#pragma once

#include "core/abi/step_scalars.h"
#include "core/abi/step_verdict.h"
#include "core/data/loader.h"
#include "core/runtime/session.h"
#include "core/step/step_shape.h"

namespace tandem {

struct TurnTimes {
  Turn turn;
  std::vector<Interval> instructions;  // all of the range
};

class StepRunner {
 public:
  // rope: the table of core/model/config.h; counters and states start at zero
  StepRunner(Session& session, const StepShape& shape, const std::vector<float>& rope);

  enum class Copies : uint8_t { untimed, timed };  // timed: Executable::submit_timed
  struct Pending {
    Timepoint done;
    uint32_t slot = 0;
    Copies copies = Copies::untimed;
    size_t submitted = 0;  // turns
  };
  // Submits what of a step changes no parameter and no state: up to its first micro-step, or less where that updates
  // them (MemoryPolicy::release). step: s, from 0. Returns at once; at most two steps may be pending, as inputs and
  // reports have two slots.
  Pending begin(const StepBatch& batch, uint64_t step, double learning_rate, uint64_t seed,
                Copies copies = Copies::untimed);
  void go_on(Pending& pending);  // submits the rest
  Pending train(const StepBatch& batch, uint64_t step, double learning_rate, uint64_t seed,
                Copies copies = Copies::untimed);
  abi::StepReport finish(const Pending& pending);  // waits
  abi::StepReport report(uint32_t slot) const;     // the last step's there; nothing may be pending
  // The same step, with the time of each instruction; nothing may be pending. Exit::device where the device has no
  // timestamps; then nothing has run.
  struct Profile {
    abi::StepReport report;
    std::vector<TurnTimes> turns;  // in the order in which they ran
  };
  Profile profile(const StepBatch& batch, uint64_t step, double learning_rate, uint64_t seed);

  // Writes a step's inputs without running anything; the slot that its begin will read.
  uint32_t fill(const StepBatch& batch, const abi::StepScalars& scalars);
  static abi::StepScalars scalars_of(const StepBatch& batch, uint64_t step, double learning_rate, uint64_t seed,
                                     uint32_t rank = 0);

  // the sum of -ln p over the batch's valid targets; nothing may be pending
  double evaluate(const StepBatch& batch, uint32_t micro_steps);

  const StepShape& shape() const { return shape_; }
  Session& session() { return session_; }

 private:
  template <typename Run>
  void for_each_turn(const Run& run) const;  // a step's, in order
  void submit(Pending& pending, Turn turn);
  void write_stream(const StepBatch& batch, uint32_t slot);

  Session& session_;
  StepShape shape_;
  uint32_t rank() const { return session_.program().rank; }
  uint64_t begins_ = 0;
};

}  // namespace tandem
