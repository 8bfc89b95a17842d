#include "core/passes/compile.h"
#include "core/program/accesses.h"

namespace tandem {

void synchronize(Program& program) {
  for (auto& range : program.ranges) {
    std::vector<Instruction> ordered;
    std::vector<BufferAccess> open;  // since the last barrier
    for (Instruction& instruction : range) {
      const std::vector<BufferAccess> accesses = accesses_of(instruction);
      if (conflict(open, accesses)) {
        ordered.push_back({instruction.queue, Barrier{}, {}});
        open.clear();
      }
      open.insert(open.end(), accesses.begin(), accesses.end());
      ordered.push_back(std::move(instruction));
    }
    range = std::move(ordered);
  }
}

}  // namespace tandem
