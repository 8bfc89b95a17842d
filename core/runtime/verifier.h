// Runs one Program on two backends, instruction by instruction, and compares what each wrote. Locked: the candidate
// gets the reference's operands before each dispatch, which finds the wrong op. Free: both run on their own, which
// shows drift.
#pragma once

#include <map>
#include <optional>

#include "core/runtime/compare.h"
#include "core/runtime/session.h"

namespace tandem {

// what both can run
Target meet(const Target& a, const Target& b);

struct InstructionId {
  Range range = Range::begin;
  uint32_t index = 0;  // in the range
  bool operator==(const InstructionId&) const = default;
};

struct VerifyOptions {
  bool locked = true;
  std::optional<OpId> perturb;        // disturb what this op writes in the candidate
  std::optional<InstructionId> only;  // compare this one alone; the others run on the reference
};

struct OpDifference {
  uint64_t instructions = 0;
  double nmse = 0, max_ulp = 0;  // the largest
};

struct InstructionDifference {
  InstructionId id;
  OpId op = kNoOp;
  std::string label;
  double nmse = 0, max_ulp = 0;
  std::string wrong;     // empty: within its budget
  std::string operands;  // shapes, and the ranges of the inputs; of the first one that is over its budget
};

class Verifier {
 public:
  // both sessions hold the same Program and the same contents
  Verifier(Session& reference, Session& candidate, VerifyOptions options)
      : reference_(reference), candidate_(candidate), options_(options) {}

  void run(Turn turn);

  // In free mode an op is over its budget when the NMSE of its f32 or bf16 results is above this: drift is no wrong op.
  static constexpr double kFreeBudget = 0.1;

  bool passed() const { return !first_over_; }
  const std::map<OpId, OpDifference>& ops() const { return ops_; }
  const std::optional<InstructionDifference>& worst() const { return worst_; }  // by NMSE, then ulps
  const std::optional<InstructionDifference>& first_over() const { return first_over_; }

 private:
  bool is_locked() const { return options_.locked || options_.only; }
  void run_dispatch(const InstructionId& id, const Instruction& instruction, const Dispatch& dispatch);
  void copy_inputs(const Dispatch& dispatch);
  void poison_outputs(const Dispatch& dispatch);
  void perturb(const Dispatch& dispatch);
  InstructionDifference compare_outputs(const InstructionId& id, const Instruction& i, const Dispatch& dispatch);
  void record(InstructionDifference difference, const Dispatch& dispatch);
  std::string describe_operands(const Dispatch& dispatch) const;

  Session& reference_;
  Session& candidate_;
  VerifyOptions options_;
  std::map<OpId, OpDifference> ops_;
  std::optional<InstructionDifference> worst_, first_over_;
};

}  // namespace tandem
