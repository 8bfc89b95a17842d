#include "core/program/workspace.h"

#include <algorithm>

namespace tandem {

uint64_t workspace_bytes(const Program& program) {
  uint64_t most = 0;
  for (const auto& range : program.ranges)
    for (const Instruction& instruction : range)
      if (const auto* dispatch = std::get_if<Dispatch>(&instruction.command)) {
        Descs descs;
        for (const Operand& operand : dispatch->operands) descs.push_back(operand.desc);
        most = std::max(most, op_of(dispatch->op).cost(dispatch->parameters, descs).workspace);
      }
  return most;
}

}  // namespace tandem
