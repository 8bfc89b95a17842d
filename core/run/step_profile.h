// Where a step's time goes: its instructions, each timed alone, as a trace that chrome://tracing and Perfetto show.
#pragma once

#include <string>
#include <vector>

#include "core/plan/cost_model.h"
#include "core/runtime/session.h"

namespace tandem {

class StepProfile {
 public:
  // rates: of the device, for each instruction's floor; left out of the trace where they are not known
  explicit StepProfile(const Rates& rates) : rates_(rates) {}

  // Runs the range, instruction by instruction: the same bits as submitting it. Exit::device where the device has no
  // timestamps; then nothing has run.
  void run(Session& session, Range range);

  // Trace Event Format: complete events, one an instruction, one after the other; microseconds; a thread a queue.
  // Their arguments: range, op, operands as in a Program's dump, flops, bytes, and floor_us.
  std::string trace() const;

 private:
  struct Event {
    Range range;
    const Instruction* instruction;  // of the session's Program
    double start, seconds;
  };
  Rates rates_;
  std::vector<Event> events_;
  double clock_ = 0;  // seconds
};

}  // namespace tandem
