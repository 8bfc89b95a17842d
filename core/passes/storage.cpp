#include "core/passes/storage.h"

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

class Liveness {
 public:
  Liveness(const Graph& graph, Storage& storage) : graph_(graph), storage_(storage), seen_(storage.roots.size()) {}

  void run() {
    std::array<uint32_t, kRangeCount> position{};
    for (const Node& node : graph_.nodes()) {
      const LiveRange at{node.range, position[size_t(node.range)], position[size_t(node.range)]++};
      if (!node.is_instruction()) continue;
      for (ValueId v : node.inputs) touch(v, at);
      for (ValueId v : node.outputs) touch(v, at);
    }
  }

 private:
  void touch(ValueId v, const LiveRange& at) {
    if (!v.present()) return;
    const uint32_t r = storage_.root_of[storage_.places[v.index].root];
    Root& root = storage_.roots[r];
    if (!seen_[r]) {
      seen_[r] = true;
      root.live = at;
    } else if (root.live.range != at.range) {
      root.persistent = true;
    } else {
      root.live.last = at.first;
    }
  }

  const Graph& graph_;
  Storage& storage_;
  std::vector<bool> seen_;
};

}  // namespace

Storage resolve_storage(const Graph& graph) {
  Storage storage;
  storage.places = parents(graph);
  const auto& values = graph.values();
  for (Place& place : storage.places)
    for (const Place* up = &storage.places[place.root]; up->root != place.root; up = &storage.places[place.root])
      place = {up->root, place.offset + up->offset};
  storage.root_of.assign(values.size(), UINT32_MAX);
  for (uint32_t v = 0; v < values.size(); ++v) {
    if (storage.places[v].root != v) continue;
    storage.root_of[v] = uint32_t(storage.roots.size());
    storage.roots.push_back({v,
                             values[v].desc.bytes(),
                             values[v].lifetime != Lifetime::transient,
                             values[v].lifetime == Lifetime::external || values[v].on_host,
                             values[v].node != UINT32_MAX && graph.nodes()[values[v].node].form == Form::copy,
                             {}});
  }
  for (uint32_t v = 0; v < values.size(); ++v)
    if (!values[v].name.empty()) storage.roots[storage.root_of[storage.places[v].root]].persistent = true;
  Liveness(graph, storage).run();
  return storage;
}

}  // namespace tandem
