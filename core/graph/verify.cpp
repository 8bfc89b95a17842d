// What Graph::verify checks. Ranges run in their order, each from its first node to its last:
// - A node reads what an earlier node made, a variable or an external.
// - Only what begin makes, or the first or last micro-step alone, and variables and externals, are used in several
//   ranges. What the last micro-step alone makes is read there, or behind it.
// - An overwrite spoils every value that shares its bytes: transients for good, variables and externals until the range
//   ends. Evaluate comes right behind begin, whatever else there is.
// - No part of a concat is a binding or lies on the host: its bytes are the concat's.
// - Values that ranks share say how: own rows are rows of a whole, exchanges fit what they exchange.
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
      if (Range(r) == Range::evaluate) forget_step();
      for (uint32_t n = 0; n < graph_.nodes().size(); ++n)
        if (graph_.nodes()[n].range == Range(r)) check(n);
    }
  }

 private:
  // Bytes of a root; on rank r they begin r * rank_stride later.
  struct Bytes {
    uint64_t first, end, rank_stride;
  };
  struct Write {
    Bytes bytes;
    uint32_t node, time;
  };

  Bytes bytes_of(ValueId v) const {
    const Place& place = places_[v.index];
    return {place.offset, place.offset + graph_.desc(v).bytes(), place.rank_stride};
  }

  // Bytes with one stride are one rank's, whichever it is.
  bool overlap(Bytes a, Bytes b) const {
    if (a.rank_stride != b.rank_stride)
      for (Bytes* x : {&a, &b}) x->end += x->rank_stride * (graph_.ranks() - 1);
    return a.first < b.end && b.first < a.end;
  }

  void forget_step() {
    for (std::vector<Write>& writes : writes_)
      std::erase_if(writes, [&](const Write& w) { return graph_.nodes()[w.node].range != Range::begin; });
  }

  void check(uint32_t n) {
    const Node& node = graph_.nodes()[n];
    ++now_;
    // A slice reads its rows alone: their place is its output's.
    for (ValueId v : node.inputs)
      if (v.present()) check_read(n, v, node.is_slice() ? node.outputs[0] : v);
    for (size_t i = node.inputs.size() - node.in_place; i < node.inputs.size(); ++i) {
      const ValueId v = node.inputs[i];
      if (!v.present()) continue;
      writes_[places_[v.index].root].push_back({bytes_of(v), n, now_});
    }
    if (node.is_collective()) check_exchange(node);
    for (ValueId v : node.outputs)
      if (v.present()) made_[v.index] = now_;
    if (node.form == Form::concat)
      for (ValueId part : node.inputs) check_part(n, part);
  }

  // The part, and all whose bytes it has.
  void check_part(uint32_t n, ValueId part) const {
    for (ValueId v = part; v.present(); v = graph_.source_of(v)) {
      const Value& value = graph_.values()[v.index];
      TANDEM_CHECK(value.name.empty() && value.lifetime == Lifetime::transient && !value.on_host,
                   "node {} (concat) has %{} for a part, whose bytes are those of {}: a part's are the concat's", n,
                   part.index, value.name.empty() ? "the host" : value.name);
    }
  }

  // The node that made the bytes first, wherever they stand; null for a variable's or an external's.
  const Node* maker_of(ValueId v) const {
    for (;;) {
      const uint32_t node = graph_.values()[v.index].node;
      if (node == UINT32_MAX) return nullptr;
      const Node& maker = graph_.nodes()[node];
      const ValueId source = graph_.source_of(v);
      if (!source.present()) return &maker;
      v = source;
    }
  }

  // What the node makes is there behind its range.
  static bool stays(const Node& node) {
    return node.range == Range::begin || node.tag.when == When::first || node.tag.when == When::last;
  }

  // part: the value whose bytes of v are read
  void check_read(uint32_t n, ValueId v, ValueId part) const {
    const Node& node = graph_.nodes()[n];
    const Value& value = graph_.values().at(v.index);
    const bool lasts = value.node == UINT32_MAX;  // a variable or an external
    TANDEM_CHECK(lasts || (value.node < n && made_[v.index] > 0), "node {} ({} {}) reads %{} before it is made", n,
                 name_of(node), node.label, v.index);
    const Node* maker = maker_of(v);
    TANDEM_CHECK(lasts || maker == nullptr || graph_.nodes()[value.node].range == node.range || stays(*maker),
                 "node {} ({} {}) of {} reads %{}, which {} makes: only what begin makes is used in several ranges", n,
                 name_of(node), node.label, name_of(node.range), v.index, name_of(graph_.nodes()[value.node].range));
    TANDEM_CHECK(maker == nullptr || maker->tag.when != When::last || node.range != Range::micro_step ||
                     node.tag.when == When::last || !node.is_instruction(),
                 "node {} ({} {}) reads %{} in each micro-step, and the last alone makes it", n, name_of(node),
                 node.label, v.index);
    const uint32_t since = lasts ? range_start_ : made_[v.index];
    const Bytes bytes = bytes_of(part);
    for (const Write& write : writes_[places_[part.index].root])
      TANDEM_CHECK(write.time <= since || !overlap(bytes, write.bytes),
                   "node {} ({} {}) reads %{}, which node {} ({} {}) has overwritten", n, name_of(node), node.label,
                   v.index, write.node, name_of(graph_.nodes()[write.node]), graph_.nodes()[write.node].label);
  }

  // What goes in and what comes out fit each other.
  void check_exchange(const Node& node) const {
    for (size_t i = 0; i < node.outputs.size(); ++i) {
      const ValueId from = node.inputs[i], to = node.outputs[i];
      const uint64_t whole = graph_.memory_bytes(to), part = graph_.desc(from).bytes(), ranks = graph_.ranks();
      const bool fits = node.form == Form::all_gather   ? whole == ranks * part
                        : node.form == Form::all_to_all ? whole == graph_.memory_bytes(from)
                                                        : whole == part && graph_.desc(to).dtype == DType::u32;
      TANDEM_CHECK(fits, "node {}: %{} ({}) does not fit %{} ({})", name_of(node), from.index, graph_.desc(from),
                   to.index, graph_.desc(to));
    }
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
