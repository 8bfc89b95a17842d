// What Graph::verify checks. Ranges run in their order, each from its first node to its last:
// - A node reads what an earlier node made, a variable or an external.
// - Only what begin makes, and variables and externals, are used in several ranges.
// - An overwrite spoils every value that shares its bytes: transients for good, variables and externals until the range
//   ends.
#include <algorithm>

#include "core/graph/places.h"

namespace tandem {
namespace {

class Checker {
 public:
  explicit Checker(const Graph& graph)
      : graph_(graph), places_(places_of(graph)), made_(graph.values().size()), writes_(graph.values().size()) {}

  void run() {
    for (size_t r = 0; r < kRangeCount; ++r) {
      range_start_ = now_;
      for (uint32_t n = 0; n < graph_.nodes().size(); ++n)
        if (graph_.nodes()[n].range == Range(r)) check(n);
    }
  }

 private:
  struct Write {
    uint64_t first, end;  // bytes of the root
    uint32_t node, time;
  };

  void check(uint32_t n) {
    const Node& node = graph_.nodes()[n];
    ++now_;
    // A slice reads its rows alone: their place is its output's.
    for (ValueId v : node.inputs)
      if (v.present()) check_read(n, v, node.form == Form::slice ? node.outputs[0] : v);
    for (size_t i = node.inputs.size() - node.in_place; i < node.inputs.size(); ++i) {
      const ValueId v = node.inputs[i];
      if (!v.present()) continue;
      const Place& place = places_[v.index];
      writes_[place.root].push_back({place.offset, place.offset + graph_.desc(v).bytes(), n, now_});
    }
    for (ValueId v : node.outputs)
      if (v.present()) made_[v.index] = now_;
  }

  // part: the value whose bytes of v are read
  void check_read(uint32_t n, ValueId v, ValueId part) const {
    const Node& node = graph_.nodes()[n];
    const Value& value = graph_.values().at(v.index);
    const bool lasts = value.node == UINT32_MAX;  // a variable or an external
    TANDEM_CHECK(lasts || (value.node < n && made_[v.index] > 0), "node {} ({} {}) reads %{} before it is made", n,
                 name_of(node), node.label, v.index);
    const Value& root = graph_.values()[places_[v.index].root];
    TANDEM_CHECK(lasts || root.node == UINT32_MAX || graph_.nodes()[value.node].range == node.range ||
                     graph_.nodes()[root.node].range == Range::begin,
                 "node {} ({} {}) of {} reads %{}, which {} makes: only what begin makes is used in several ranges", n,
                 name_of(node), node.label, name_of(node.range), v.index, name_of(graph_.nodes()[value.node].range));
    const uint32_t since = lasts ? range_start_ : made_[v.index];
    const Place& place = places_[part.index];
    const uint64_t end = place.offset + graph_.desc(part).bytes();
    for (const Write& write : writes_[place.root])
      TANDEM_CHECK(write.time <= since || write.end <= place.offset || end <= write.first,
                   "node {} ({} {}) reads %{}, which node {} ({} {}) has overwritten", n, name_of(node), node.label,
                   v.index, write.node, name_of(graph_.nodes()[write.node]), graph_.nodes()[write.node].label);
  }

  const Graph& graph_;
  std::vector<Place> places_;
  std::vector<uint32_t> made_;              // by value, when; 0: not yet
  std::vector<std::vector<Write>> writes_;  // by root
  uint32_t now_ = 0, range_start_ = 0;
};

}  // namespace

void Graph::verify() const {
  Checker(*this).run();
}

}  // namespace tandem
