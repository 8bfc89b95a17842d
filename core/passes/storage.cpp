#include "core/passes/storage.h"

namespace tandem {
namespace {

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
      touch(node.workspace, at);
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
  storage.places = places_of(graph);
  const auto& values = graph.values();
  storage.root_of.assign(values.size(), UINT32_MAX);
  for (uint32_t v = 0; v < values.size(); ++v) {
    if (storage.places[v].root != v) continue;
    storage.root_of[v] = uint32_t(storage.roots.size());
    storage.roots.push_back({v,
                             graph.memory_bytes({v}),
                             values[v].lifetime != Lifetime::transient,
                             values[v].lifetime == Lifetime::external || values[v].on_host,
                             values[v].node != UINT32_MAX && graph.nodes()[values[v].node].form == Form::copy,
                             values[v].kind == Kind::workspace,
                             {}});
  }
  for (uint32_t v = 0; v < values.size(); ++v)
    if (!values[v].name.empty()) storage.roots[storage.root_of[storage.places[v].root]].persistent = true;
  Liveness(graph, storage).run();
  return storage;
}

}  // namespace tandem
