#include "core/graph/places.h"

namespace tandem {
namespace {

uint64_t row_bytes(const TensorDesc& desc) {
  return desc.shape[0] == 0 ? 0 : desc.bytes() / desc.shape[0];
}

// where each value stands relative to another one, if it does
std::vector<Place> parents(const Graph& graph) {
  std::vector<Place> parent(graph.values().size());
  for (uint32_t v = 0; v < parent.size(); ++v) parent[v] = {v, 0};
  for (const Node& node : graph.nodes()) {
    for (uint32_t i = 0; i < node.in_place; ++i) {
      const ValueId in = node.inputs[node.inputs.size() - node.in_place + i], out = node.outputs[node.first_output + i];
      if (in.present()) parent[out.index] = {in.index, 0};
    }
    if (node.form == Form::slice)
      parent[node.outputs[0].index] = {node.inputs[0].index, node.first_row * row_bytes(graph.desc(node.inputs[0]))};
    if (node.form == Form::rank_slice)
      parent[node.outputs[0].index] = {node.inputs[0].index, 0, graph.desc(node.outputs[0]).bytes()};
    if (node.form == Form::concat) {
      uint64_t offset = 0;
      for (ValueId part : node.inputs) {
        uint32_t root = part.index;  // what the part overwrites in place is placed with it
        while (parent[root].root != root && parent[root].offset == 0) root = parent[root].root;
        TANDEM_CHECK(parent[root].root == root && graph.desc({root}) == graph.desc(part),
                     "%{} is placed twice: in a concat and elsewhere", part.index);
        parent[root] = {node.outputs[0].index, offset};
        offset += graph.desc(part).bytes();
      }
    }
  }
  return parent;
}

}  // namespace

std::vector<Place> places_of(const Graph& graph) {
  std::vector<Place> places = parents(graph);
  for (Place& place : places)
    for (const Place* up = &places[place.root]; up->root != place.root; up = &places[place.root])
      place = {up->root, place.offset + up->offset, place.rank_stride + up->rank_stride};
  return places;
}

}  // namespace tandem
