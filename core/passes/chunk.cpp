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

// The graph that is cut, and the one that comes of it.
struct Chunking {
  const Graph& graph;
  const MemoryPolicy& policy;
  const Target& target;
  std::vector<std::vector<const Node*>> readers;  // by value, a node for each input
  Rewriter rewriter;
};

std::vector<std::vector<const Node*>> readers_of(const Graph& graph) {
  std::vector<std::vector<const Node*>> readers(graph.values().size());
  for (const Node& node : graph.nodes())
    for (ValueId v : node.inputs)
      if (v.present()) readers[v.index].push_back(&node);
  return readers;
}

bool is_cut(const MemoryPolicy& policy, const Node& node) {
  switch (split_of(node).by) {
    case SplitBy::rows:  // in a layer's backward pass what an update needs comes and goes with the layer
      return policy.optimizer_chunk > 0 && (node.range == Range::update || node.tag.layer == kNoLayer);
    case SplitBy::sequences:
      return policy.attention_chunks > 1;
    case SplitBy::none:
      break;
  }
  return false;
}

// ---- groups ----

// True if something else than nodes of the same split reads it, or nothing does.
bool is_result(const Chunking& c, ValueId v, SplitBy by) {
  const auto& readers = c.readers[v.index];
  const auto apart = [by](const Node* reader) { return split_of(*reader).by != by; };
  return readers.empty() || !c.graph.values()[v.index].name.empty() || std::ranges::any_of(readers, apart);
}

bool made_in(const Graph& graph, const Group& group, ValueId v) {
  const uint32_t maker = graph.values()[v.index].node;
  return maker != UINT32_MAX && std::ranges::find(group.nodes, &graph.nodes()[maker]) != group.nodes.end();
}

// True if the group is whole then: a node that is read only by nodes cut likewise waits for them.
bool join(const Chunking& c, Group& group, const Node& node) {
  const SplitBy by = split_of(node).by;
  for (ValueId v : node.inputs)
    if (v.present() && made_in(c.graph, group, v) && !is_result(c, v, by)) --group.awaited;
  group.nodes.push_back(&node);
  for (ValueId v : node.outputs)
    if (v.present() && !is_result(c, v, by)) group.awaited += c.readers[v.index].size();
  return group.awaited == 0;
}

// ---- a group, part by part ----

bool is_whole(const Node& node, size_t input) {
  return (split_of(node).whole >> input & 1) != 0;
}

uint32_t units_of(const Graph& graph, const Node& node) {
  return split_of(node).units(node.parameters, graph.operands_of(node));
}

// Units of a part. What is sliced, inputs that the group does not make, begins at the target's alignment.
uint64_t step_of(const Chunking& c, const Group& group, uint32_t units) {
  uint64_t aligned = 1, elements = 0;
  for (const Node* node : group.nodes)
    for (size_t i = 0; i < node->inputs.size(); ++i) {
      const ValueId v = node->inputs[i];
      if (!v.present() || is_whole(*node, i) || made_in(c.graph, group, v)) continue;
      const TensorDesc& desc = c.graph.desc(v);
      aligned = std::lcm(aligned, c.target.alignment / std::gcd(desc.bytes() / units, c.target.alignment));
      elements = std::max(elements, desc.shape.count() / units);
    }
  if (split_of(*group.nodes[0]).by == SplitBy::sequences)
    return round_up(divide_up(uint64_t(units), uint64_t(c.policy.attention_chunks)), aligned);
  return std::max(aligned, c.policy.optimizer_chunk / elements / aligned * aligned);
}

struct Part {
  uint32_t first = 0, count = 0, of = 0;  // units
};

ValueId slice(Chunking& c, const Node& node, ValueId v, const Part& part) {
  const uint64_t rows = c.graph.desc(v).shape[0] / part.of;
  const Scope scope(c.rewriter.graph(), node.tag);
  return c.rewriter.graph().slice(node.range, c.rewriter.map(v), part.first * rows, part.count * rows);
}

using Results = std::map<uint32_t, ValueIds>;  // by value, its parts

void emit(Chunking& c, const Group& group, const Part& part, Results& results) {
  std::map<uint32_t, ValueId> here;  // by value, what this part has of it
  const auto input = [&](const Node& node, size_t i) {
    const ValueId v = node.inputs[i];
    if (!v.present() || is_whole(node, i)) return c.rewriter.map(v);
    const auto [found, fresh] = here.try_emplace(v.index);
    if (fresh) found->second = slice(c, node, v, part);
    return found->second;
  };
  for (const Node* node : group.nodes) {
    const Split& split = split_of(*node);
    ValueIds inputs;
    for (size_t i = 0; i < node->inputs.size(); ++i) inputs.push_back(input(*node, i));
    const Parameters parameters = split.part(node->parameters, c.graph.operands_of(*node), part.first, part.count);
    const auto& out = c.rewriter.emit(*node, parameters, std::move(inputs), node->tag.phase);
    for (size_t i = 0; i < out.size(); ++i) {
      if (!out[i].present()) continue;
      here[node->outputs[i].index] = out[i];
      if (!c.readers[node->outputs[i].index].empty() && is_result(c, node->outputs[i], split.by))
        results[node->outputs[i].index].push_back(out[i]);
    }
  }
}

void put_together(Chunking& c, Results&& results) {
  for (auto& [value, parts] : results) {
    const Value& whole = c.graph.values()[value];
    const Node& maker = c.graph.nodes()[whole.node];
    const Scope scope(c.rewriter.graph(), maker.tag);
    const ValueId all = c.rewriter.graph().concat(maker.range, std::move(parts));
    if (!whole.name.empty()) c.rewriter.graph().keep(all, whole.name);
    c.rewriter.set({value}, all);
  }
}

void cut(Chunking& c, const Group& group) {
  const uint32_t units = units_of(c.graph, *group.nodes[0]);
  for (const Node* node : group.nodes)
    TANDEM_CHECK(units_of(c.graph, *node) == units, "{}: its {} parts are cut with {}", node->label,
                 units_of(c.graph, *node), units);
  const uint64_t step = step_of(c, group, units);
  if (step >= units) {
    for (const Node* node : group.nodes) c.rewriter.copy(*node);
    return;
  }
  Results results;
  for (uint64_t first = 0; first < units; first += step)
    emit(c, group, {uint32_t(first), uint32_t(std::min<uint64_t>(step, units - first)), units}, results);
  put_together(c, std::move(results));
}

}  // namespace

Graph chunk(const Graph& graph, const MemoryPolicy& policy, const Target& target) {
  Chunking c{graph, policy, target, readers_of(graph), Rewriter(graph)};
  std::map<SplitBy, Group> groups;
  for (const Node& node : graph.nodes()) {
    Group& group = groups[split_of(node).by];
    if (!is_cut(policy, node)) c.rewriter.copy(node);
    else if (join(c, group, node)) cut(c, std::exchange(group, {}));
  }
  for (const auto& [by, group] : groups)
    TANDEM_CHECK(group.nodes.empty(), "{} waits for nodes that never come", group.nodes.front()->label);
  return c.rewriter.take();
}

}  // namespace tandem
