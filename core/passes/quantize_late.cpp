#include "core/passes/quantize_late.h"

#include <algorithm>
#include <map>
#include <set>

#include "core/graph/places.h"
#include "core/passes/rewriter.h"

namespace tandem {
namespace {

bool reads_parameter(const Graph& graph, const Node& node) {
  return std::ranges::any_of(node.inputs, [&](ValueId v) {
    return v.present() && graph.values()[v.index].kind == Kind::parameter && graph.values()[v.index].node == UINT32_MAX;
  });
}

// By node: what begin makes of parameters, and what it needs for that.
std::vector<bool> nodes_that_move(const Graph& graph) {
  const auto& nodes = graph.nodes();
  std::vector<bool> moves(nodes.size());
  const auto maker = [&](ValueId v) { return v.present() ? graph.values()[v.index].node : UINT32_MAX; };
  const auto moved = [&](ValueId v) { return maker(v) != UINT32_MAX && moves[maker(v)]; };
  for (size_t n = 0; n < nodes.size(); ++n)
    moves[n] = nodes[n].range == Range::begin &&
               (reads_parameter(graph, nodes[n]) || std::ranges::any_of(nodes[n].inputs, moved));
  for (size_t n = nodes.size(); n-- > 0;)
    for (ValueId v : nodes[n].inputs)
      if (moves[n] && maker(v) != UINT32_MAX) moves[maker(v)] = true;
  return moves;
}

std::string name_of_copy(const Node& node, size_t output) {
  if (!node.has_kernel()) return node.label;
  constexpr std::string_view kEnds[] = {".q", ".qt", ".scale"};
  return fmt::format("{}{}", node.label, kEnds[output]);
}

struct Late {
  const Graph& graph;
  std::vector<bool> moves;                         // by node
  std::set<std::pair<Range, uint32_t>> read = {};  // values of what moves, by the range of what stays
  std::vector<Place> places = places_of(graph);    // by value
  Rewriter to{graph};
  std::map<uint32_t, ValueId> homes = {};                   // by root of what moves: a variable
  std::map<std::pair<Range, uint32_t>, ValueId> made = {};  // by range and value

  bool is_moved(ValueId v) const {
    const uint32_t maker = v.present() ? graph.values()[v.index].node : UINT32_MAX;
    return maker != UINT32_MAX && moves[maker];
  }
};

// What moves stays from turn to turn, where a policy may place it.
void declare_homes(Late& l) {
  for (size_t n = 0; n < l.graph.nodes().size(); ++n) {
    const Node& node = l.graph.nodes()[n];
    for (size_t i = 0; l.moves[n] && i < node.outputs.size(); ++i) {
      const ValueId v = node.outputs[i];
      if (!v.present() || l.places[v.index].root != v.index) continue;
      const Value& value = l.graph.values()[v.index];
      const Scope scope(l.to.graph(), value.tag());
      l.homes[v.index] = l.to.graph().variable(name_of_copy(node, i), value.desc);
    }
  }
}

void find_readers(Late& l) {
  for (size_t n = 0; n < l.graph.nodes().size(); ++n) {
    const Node& node = l.graph.nodes()[n];
    for (ValueId v : node.inputs)
      if (!l.moves[n] && l.is_moved(v)) l.read.insert({node.range, v.index});
  }
}

// The node without optional outputs that nothing reads in the range.
Parameters parameters_for(const Late& l, const Node& node, Range range) {
  if (!node.has_kernel() || op_of(node.op).only == nullptr) return node.parameters;
  Outputs wanted;
  for (size_t i = 0; i < node.outputs.size(); ++i)
    if (node.outputs[i].present() && l.read.contains({range, node.outputs[i].index})) wanted.insert(i);
  return op_of(node.op).only(node.parameters, wanted);
}

ValueId make(Late& l, ValueId v, const Node& reader);

// The node that makes v, in the reader's range and stage, with its outputs in place of what the last step left.
void emit_late(Late& l, const Node& node, const Node& reader) {
  Node here = node;
  here.range = reader.range;
  here.tag.layer = reader.tag.layer;
  here.tag.when = When::first;
  ValueIds inputs;
  for (ValueId v : node.inputs) inputs.push_back(l.is_moved(v) ? make(l, v, reader) : l.to.map(v));
  const bool made_anew = node.in_place == 0 && node.is_instruction();
  for (size_t i = 0; made_anew && i < node.outputs.size(); ++i) {
    const ValueId v = node.outputs[i];
    const bool wanted = v.present() && (!node.has_kernel() || l.read.contains({reader.range, v.index}));
    inputs.push_back(wanted ? l.homes.at(v.index) : ValueId{});
  }
  const auto& out = l.to.emit(here, parameters_for(l, node, reader.range), std::move(inputs), reader.tag.phase);
  for (size_t i = 0; i < out.size(); ++i)
    if (out[i].present()) l.made[{reader.range, node.outputs[i].index}] = out[i];
}

ValueId make(Late& l, ValueId v, const Node& reader) {
  const std::pair key{reader.range, v.index};
  if (const auto found = l.made.find(key); found != l.made.end()) return found->second;
  emit_late(l, l.graph.nodes()[l.graph.values()[v.index].node], reader);
  return l.made.at(key);
}

}  // namespace

Graph quantize_late(const Graph& graph) {
  TANDEM_CHECK(graph.ranks() == 1, "{} ranks exchange what begin quantizes", graph.ranks());
  Late l{graph, nodes_that_move(graph)};
  find_readers(l);
  declare_homes(l);
  for (size_t n = 0; n < graph.nodes().size(); ++n) {
    const Node& node = graph.nodes()[n];
    if (l.moves[n]) continue;
    for (ValueId v : node.inputs)
      if (l.is_moved(v)) l.to.set(v, make(l, v, node));
    l.to.copy(node);
  }
  return l.to.take();
}

}  // namespace tandem
