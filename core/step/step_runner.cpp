#include "core/step/step_runner.h"

#include "core/model/batch.h"

namespace tandem {
namespace {

template <typename T>
std::span<const std::byte> bytes_of_one(const T& value) {
  return std::as_bytes(std::span(&value, 1));
}

}  // namespace

StepRunner::StepRunner(Session& session, const StepShape& shape, const std::vector<float>& rope)
    : session_(session), shape_(shape) {
  session_.write("rope", bytes_of(rope));
  for (const Binding& b : session_.program().bindings)
    if (b.initial == Initial::zero || b.rows.padded(session_.program().ranks)) session_.zero(b.name);
}

uint32_t StepRunner::fill(const StepBatch& batch, const abi::StepScalars& scalars) {
  const uint32_t slot = uint32_t(begins_++ & 1);
  const uint64_t bytes = uint64_t(shape_.accumulation) * shape_.rows() * sizeof(int32_t);
  TANDEM_CHECK(batch.inputs.size() * sizeof(int32_t) == bytes, "a step holds {} bytes of tokens, got {} tokens", bytes,
               batch.inputs.size());
  if (session_.has("inputs.tokens")) session_.write("inputs.tokens", bytes_of(batch.inputs), slot * bytes);
  else write_stream(batch, slot);
  session_.write("inputs.targets", bytes_of(batch.targets), slot * bytes);
  session_.write("inputs.positions", bytes_of(batch.positions), slot * bytes);
  session_.write("inputs.scalars", bytes_of_one(scalars), slot * sizeof(uint32_t) * abi::kStepScalarWords);
  return slot;
}

void StepRunner::write_stream(const StepBatch& batch, uint32_t slot) {
  const auto write = [&](const char* name, const std::vector<std::byte>& bytes) {
    TANDEM_CHECK(bytes.size() * kSlots == session_.desc(name).bytes(), "{} of a step are {} bytes, of two {}", name,
                 bytes.size(), session_.desc(name).bytes());
    session_.write(name, bytes, slot * bytes.size());
  };
  write("inputs.codes", batch.codes);
  write("inputs.scales", batch.scales);
}

abi::StepScalars StepRunner::scalars_of(const StepBatch& batch, uint64_t step, double learning_rate, uint64_t seed,
                                        uint32_t rank) {
  return {.learning_rate = float(learning_rate),
          .inverse_targets = batch.valid_targets == 0 ? 0.0f : float(1.0 / double(batch.valid_targets)),
          .step = uint32_t(step),
          .seed_low = uint32_t(seed),
          .seed_high = uint32_t(seed >> 32),
          .targets = uint32_t(batch.valid_targets),
          .rank = rank};
}

template <typename Run>
void StepRunner::for_each_turn(const Run& run) const {
  for (const Turns& turns : session_.program().schedule)
    for (uint32_t k = 0; k < turns.times; ++k) run(turns.turn);
}

void StepRunner::submit(Pending& pending, Turn turn) {
  Executable& executable = session_.executable();
  pending.done = pending.copies == Copies::timed ? executable.submit_timed(turn) : executable.submit(turn);
  ++pending.submitted;
}

StepRunner::Pending StepRunner::begin(const StepBatch& batch, uint64_t step, double learning_rate, uint64_t seed,
                                      Copies copies) {
  Pending pending{{}, fill(batch, scalars_of(batch, step, learning_rate, seed, rank())), copies};
  const std::vector<Turns>& schedule = session_.program().schedule;
  const bool updated_behind = schedule.back().turn.range == Range::update;
  for (const Turns& turns : schedule) {
    const bool micro_step = turns.turn.range == Range::micro_step;
    if (micro_step && !updated_behind) break;  // where gradients are released it updates
    submit(pending, turns.turn);
    if (micro_step) break;
  }
  return pending;
}

void StepRunner::go_on(Pending& pending) {
  size_t turn = 0;
  for_each_turn([&](Turn t) {
    if (turn++ >= pending.submitted) submit(pending, t);
  });
}

StepRunner::Pending StepRunner::train(const StepBatch& batch, uint64_t step, double learning_rate, uint64_t seed,
                                      Copies copies) {
  Pending pending = begin(batch, step, learning_rate, seed, copies);
  go_on(pending);
  return pending;
}

StepRunner::Profile StepRunner::profile(const StepBatch& batch, uint64_t step, double learning_rate, uint64_t seed) {
  const uint32_t slot = fill(batch, scalars_of(batch, step, learning_rate, seed, rank()));
  Profile profile;
  for_each_turn([&](Turn turn) {
    std::vector<Interval> instructions = session_.executable().profile(turn);
    if (instructions.size() != session_.program().range(turn.range).size())
      fail(Exit::device, "--profile", "this device cannot time its instructions; leave --profile out");
    profile.turns.push_back({turn, std::move(instructions)});
  });
  profile.report = report(slot);
  return profile;
}

abi::StepReport StepRunner::finish(const Pending& pending) {
  session_.wait(pending.done);
  return report(pending.slot);
}

abi::StepReport StepRunner::report(uint32_t slot) const {
  abi::StepReport report;
  session_.read("report", std::as_writable_bytes(std::span(&report, 1)),
                slot * sizeof(uint32_t) * abi::kStepScalarWords);
  return report;
}

double StepRunner::evaluate(const StepBatch& batch, uint32_t micro_steps) {
  fill(batch, {.targets = uint32_t(batch.valid_targets)});
  session_.submit(Range::begin);
  Timepoint done;
  const bool alike = !has_turns(session_.program(), Range::evaluate);
  for (uint32_t k = 0; k < micro_steps; ++k) done = session_.submit(Turn(Range::evaluate, k == 0 || alike));
  session_.wait(done);
  float loss = 0;
  session_.read("loss", std::as_writable_bytes(std::span(&loss, 1)));
  return loss;
}

}  // namespace tandem
