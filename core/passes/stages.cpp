#include "core/passes/stages.h"

#include <array>

namespace tandem {
namespace {

// The parameter that a node of several helps to update; empty for an update of one node.
std::string_view updated_in_one_stage(const Node& node) {
  return node.tag.kind == Kind::direction ? std::string_view(node.label.text()) : std::string_view();
}

// An update, or a part of one, outside of layers.
bool is_update_outside(const Node& node) {
  return node.has_kernel() && node.tag.layer == kNoLayer && op_of(node.op).cost_class == CostClass::optimizer;
}

}  // namespace

std::vector<uint32_t> stages_of(const Graph& graph) {
  struct Position {
    uint32_t stage = 0;
    bool started = false;
    uint32_t layer = 0;
    bool forward = false;
    std::string_view updated = {};  // what the last node updates: its label
  };
  std::array<Position, kRangeCount> positions;
  std::vector<uint32_t> stages;
  for (const Node& node : graph.nodes()) {
    Position& at = positions[size_t(node.range)];
    if (node.is_instruction()) {
      const bool by_layer = node.range == Range::micro_step || node.range == Range::evaluate;
      const uint32_t layer = node.tag.layer;
      const bool forward = layer == kNoLayer || node.tag.phase == Phase::forward;
      const std::string_view updated = updated_in_one_stage(node);
      const bool goes_on = !updated.empty() && updated == at.updated;
      const bool stays =
          by_layer ? layer == at.layer && forward == at.forward && (goes_on || !is_update_outside(node)) : goes_on;
      if (at.started && !stays) ++at.stage;
      at.started = true;
      at.layer = layer;
      at.forward = forward;
      at.updated = updated;
    }
    stages.push_back(at.stage);
  }
  return stages;
}

}  // namespace tandem
