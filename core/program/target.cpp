#include "core/program/target.h"

#include <algorithm>

namespace tandem {

uint64_t Target::workspace(OpId op, const Parameters& parameters, Operands operands) const {
  uint64_t bytes = scratch ? scratch(op, parameters, operands) : 0;
  if (workspace_bytes == 0) return bytes;
  if (op_of(op).library) bytes = std::max(bytes, workspace_bytes);
  return std::max(bytes, op_of(op).cost(parameters, operands).workspace);
}

}  // namespace tandem
