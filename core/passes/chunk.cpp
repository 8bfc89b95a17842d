#include "core/passes/chunk.h"

#include <algorithm>
#include <map>
#include <numeric>

#include "core/base/size.h"
#include "core/passes/rewriter.h"

namespace tandem {
namespace {

const Split& split_of(const Node& node) {
  static const Split kNone;
  return node.has_kernel() ? op_of(node.op).split : kNone;
}

// Nodes that are cut together: what one makes, another may read part by part.
struct Group {
  std::vector<const Node*> nodes;
  size_t awaited = 0;  // readings of what they make by nodes that are still to come
};

class Chunker {
 public:
  Chunker(const Graph& graph, const MemoryPolicy& policy, const Target& target)
      : graph_(graph), policy_(policy), target_(target), rewriter_(graph), readers_(graph.values().size()) {
    for (const Node& node : graph.nodes())
      for (ValueId v : node.inputs)
        if (v.present()) readers_[v.index].push_back(&node);
  }

  Graph run() {
    for (const Node& node : graph_.nodes()) {
      if (is_cut(node)) gather(node);
      else rewriter_.copy(node);
    }
    for (const auto& [by, group] : groups_)
      TANDEM_CHECK(group.nodes.empty(), "{} waits for nodes that never come", group.nodes.front()->label);
    return rewriter_.take();
  }

 private:
  bool is_cut(const Node& node) const {
    switch (split_of(node).by) {
      case SplitBy::rows:
        return policy_.optimizer_chunk > 0;
      case SplitBy::sequences:
        return policy_.attention_chunks > 1;
      case SplitBy::none:
        break;
    }
    return false;
  }

  // A node that is read only by nodes cut likewise waits for them.
  void gather(const Node& node) {
    const SplitBy by = split_of(node).by;
    Group& group = groups_[by];
    for (ValueId v : node.inputs)
      if (v.present() && made_in(group, v) && !is_result(v, by)) --group.awaited;
    group.nodes.push_back(&node);
    for (ValueId v : node.outputs)
      if (v.present() && !is_result(v, by)) group.awaited += readers_[v.index].size();
    if (group.awaited == 0) cut(std::exchange(group, {}));
  }

  // Something else than nodes of the same split reads it, or nothing does.
  bool is_result(ValueId v, SplitBy by) const {
    const auto& readers = readers_[v.index];
    const auto apart = [by](const Node* reader) { return split_of(*reader).by != by; };
    return readers.empty() || !graph_.values()[v.index].name.empty() || std::ranges::any_of(readers, apart);
  }

  bool made_in(const Group& group, ValueId v) const {
    const uint32_t maker = graph_.values()[v.index].node;
    return maker != UINT32_MAX && std::ranges::find(group.nodes, &graph_.nodes()[maker]) != group.nodes.end();
  }

  // ---- a group, part by part ----

  static bool is_whole(const Node& node, size_t input) { return (split_of(node).whole >> input & 1) != 0; }

  // What is sliced for each part: inputs that the group does not make.
  template <typename Visit>
  void each_sliced(const Group& group, const Visit& visit) const {
    for (const Node* node : group.nodes)
      for (size_t i = 0; i < node->inputs.size(); ++i)
        if (const ValueId v = node->inputs[i]; v.present() && !is_whole(*node, i) && !made_in(group, v)) visit(v);
  }

  uint32_t units_of(const Node& node) const { return split_of(node).units(node.parameters, graph_.operands_of(node)); }

  // units of a part: each slice begins at the target's alignment
  uint64_t step_of(const Group& group, uint32_t units) const {
    uint64_t aligned = 1, elements = 0;
    each_sliced(group, [&](ValueId v) {
      const TensorDesc& desc = graph_.desc(v);
      aligned = std::lcm(aligned, target_.alignment / std::gcd(desc.bytes() / units, target_.alignment));
      elements = std::max(elements, desc.shape.count() / units);
    });
    if (split_of(*group.nodes[0]).by == SplitBy::sequences)
      return round_up(divide_up(uint64_t(units), uint64_t(policy_.attention_chunks)), aligned);
    return std::max(aligned, policy_.optimizer_chunk / elements / aligned * aligned);
  }

  void cut(const Group& group) {
    const uint32_t units = units_of(*group.nodes[0]);
    for (const Node* node : group.nodes)
      TANDEM_CHECK(units_of(*node) == units, "{}: its {} parts are cut with {}", node->label, units_of(*node), units);
    const uint64_t step = step_of(group, units);
    if (step >= units) {
      for (const Node* node : group.nodes) rewriter_.copy(*node);
      return;
    }
    std::map<uint32_t, std::vector<ValueId>> results;  // by value, its parts
    for (uint64_t first = 0; first < units; first += step)
      part(group, units, uint32_t(first), uint32_t(std::min<uint64_t>(step, units - first)), results);
    for (auto& [value, parts] : results) {
      const Value& whole = graph_.values()[value];
      const Node& maker = graph_.nodes()[whole.node];
      rewriter_.graph().set_tag(maker.tag);
      const ValueId all = rewriter_.graph().concat(maker.range, std::move(parts));
      if (!whole.name.empty()) rewriter_.graph().keep(all, whole.name);
      rewriter_.set({value}, all);
    }
  }

  void part(const Group& group, uint32_t units, uint32_t first, uint32_t count,
            std::map<uint32_t, std::vector<ValueId>>& results) {
    std::map<uint32_t, ValueId> here;  // by value, what this part has of it
    for (const Node* node : group.nodes) {
      std::vector<ValueId> inputs;
      for (size_t i = 0; i < node->inputs.size(); ++i) {
        const ValueId v = node->inputs[i];
        if (!v.present() || is_whole(*node, i)) {
          inputs.push_back(rewriter_.map(v));
          continue;
        }
        const auto [found, fresh] = here.try_emplace(v.index);
        if (fresh) found->second = slice(*node, v, units, first, count);
        inputs.push_back(found->second);
      }
      const Split& split = split_of(*node);
      const Parameters parameters = split.part(node->parameters, graph_.operands_of(*node), first, count);
      const auto out = rewriter_.emit(*node, parameters, std::move(inputs), node->tag.phase);
      for (size_t i = 0; i < out.size(); ++i) {
        if (!out[i].present()) continue;
        here[node->outputs[i].index] = out[i];
        if (!readers_[node->outputs[i].index].empty() && is_result(node->outputs[i], split.by))
          results[node->outputs[i].index].push_back(out[i]);
      }
    }
  }

  ValueId slice(const Node& node, ValueId v, uint32_t units, uint64_t first, uint64_t count) {
    const uint64_t rows = graph_.desc(v).shape[0] / units;
    rewriter_.graph().set_tag(node.tag);
    return rewriter_.graph().slice(node.range, rewriter_.map(v), first * rows, count * rows);
  }

  const Graph& graph_;
  const MemoryPolicy& policy_;
  const Target& target_;
  Rewriter rewriter_;
  std::vector<std::vector<const Node*>> readers_;  // by value, a node for each input
  std::map<SplitBy, Group> groups_;
};

}  // namespace

Graph chunk(const Graph& graph, const MemoryPolicy& policy, const Target& target) {
  return Chunker(graph, policy, target).run();
}

}  // namespace tandem
