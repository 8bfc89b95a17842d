#include "core/passes/stages.h"

#include <array>

namespace tandem {

std::vector<uint32_t> stages_of(const Graph& graph) {
  struct Position {
    uint32_t stage = 0;
    bool started = false;
    uint32_t layer = 0;
    bool forward = false;
  };
  std::array<Position, kRangeCount> positions;
  std::vector<uint32_t> stages;
  for (const Node& node : graph.nodes()) {
    Position& at = positions[size_t(node.range)];
    if (node.is_instruction()) {
      const bool by_layer = node.range == Range::micro_step || node.range == Range::evaluate;
      const uint32_t layer = node.tag.layer;
      const bool forward = layer == kNoLayer || node.tag.phase == Phase::forward;
      if (at.started && !(by_layer && layer == at.layer && forward == at.forward)) ++at.stage;
      at.started = true;
      at.layer = layer;
      at.forward = forward;
    }
    stages.push_back(at.stage);
  }
  return stages;
}

}  // namespace tandem
