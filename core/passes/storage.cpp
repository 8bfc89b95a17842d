#include "core/passes/storage.h"

namespace tandem {
namespace {

// A root is alive from the first instruction that touches it to the last; in several ranges, or where the first
// micro-step alone makes it and others read it: persistent. What an exchange reads stays until the range's next
// exchange, a gather too, if there is one: what took its memory at once would wait for the exchange beside which it
// could run.
void find_live_ranges(const Graph& graph, Storage& storage) {
  std::vector<bool> seen(storage.roots.size());
  const auto touch = [&](ValueId v, const LiveRange& at, When when) {
    if (!v.present()) return;
    const uint32_t r = storage.root_of[storage.places[v.index].root];
    Root& root = storage.roots[r];
    if (!seen[r]) {
      seen[r] = true;
      root.live = at;
    } else if (root.live.range != at.range) {
      root.persistent = true;
    } else {
      root.live.last = at.first;
    }
    const uint32_t maker = graph.values()[root.value].node;
    root.persistent |= maker != UINT32_MAX && graph.nodes()[maker].tag.when == When::first && when != When::first;
  };
  std::array<uint32_t, kRangeCount> position{};
  const Node* exchange = nullptr;  // the last one
  for (const Node& node : graph.nodes()) {
    const LiveRange at{node.range, position[size_t(node.range)], position[size_t(node.range)]++};
    if (!node.is_instruction()) continue;
    if (node.is_collective() && exchange && exchange->range == node.range)
      for (ValueId v : exchange->inputs) touch(v, at, exchange->tag.when);
    if (node.is_collective()) exchange = &node;
    for (ValueId v : node.inputs) touch(v, at, node.tag.when);
    for (ValueId v : node.outputs) touch(v, at, node.tag.when);
    touch(node.workspace, at, node.tag.when);
  }
}

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
                             values[v].lifetime != Lifetime::transient || values[v].on_host,
                             values[v].lifetime == Lifetime::external || values[v].on_host,
                             values[v].node != UINT32_MAX && graph.nodes()[values[v].node].form == Form::copy,
                             values[v].kind == Kind::workspace,
                             {}});
  }
  for (uint32_t v = 0; v < values.size(); ++v)
    if (!values[v].name.empty()) storage.roots[storage.root_of[storage.places[v].root]].persistent = true;
  find_live_ranges(graph, storage);
  return storage;
}

}  // namespace tandem
