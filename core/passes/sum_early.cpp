#include "core/passes/sum_early.h"

#include <algorithm>
#include <map>

#include "core/passes/rewriter.h"

namespace tandem {
namespace {

// True if the update does no more with it than to add up what micro_step has made.
bool moves(const Graph& graph, const Node& node) {
  const auto made_before = [&](ValueId v) {
    const uint32_t maker = v.present() ? graph.values()[v.index].node : UINT32_MAX;
    return maker != UINT32_MAX && graph.nodes()[maker].range == Range::micro_step;
  };
  return node.range == Range::update && node.has_kernel() && op_of(node.op).cost_class == CostClass::gradient_norm &&
         std::ranges::all_of(node.inputs, made_before);
}

}  // namespace

Graph sum_early(const Graph& graph) {
  Rewriter to(graph);
  std::map<uint32_t, std::vector<Node>> behind;  // by the node that they come right behind
  for (const Node& node : graph.nodes()) {
    if (!moves(graph, node)) continue;
    uint32_t last = 0;
    for (ValueId v : node.inputs) last = std::max(last, graph.values()[v.index].node);
    Node moved = node;
    moved.range = Range::micro_step;
    moved.tag.layer = graph.nodes()[last].tag.layer;
    moved.tag.phase = graph.nodes()[last].tag.phase;
    moved.tag.when = When::last;
    behind[last].push_back(std::move(moved));
  }
  for (uint32_t n = 0; n < graph.nodes().size(); ++n) {
    if (!moves(graph, graph.nodes()[n])) to.copy(graph.nodes()[n]);
    if (const auto found = behind.find(n); found != behind.end())
      for (const Node& node : found->second) to.copy(node);
  }
  return to.take();
}

}  // namespace tandem
