// What ranks share of a step's graph: its matrices with their gradients and states, and what steps read of them.
#pragma once

#include <array>
#include <map>
#include <optional>

#include "core/graph/places.h"
#include "core/passes/policy.h"
#include "core/program/sharding.h"

namespace tandem {

// A parameter with its gradient, by the node that updates it.
struct SharedParameter {
  ValueId value;
  uint32_t gradient = 0;           // the root of its accumulator
  ValueId last_gradient;           // as the update reads it
  Rows rows;                       // a matrix's; vectors are whole on each rank
  bool whole = false;              // each rank has all rows in its memory, its own ones updated
  uint32_t last_sum = UINT32_MAX;  // the last node of a micro-step that adds to the gradient

  bool matrix() const { return rows.shared(); }
};

// What steps read of a matrix: itself, or the copy that begin makes of it by rows, and that one's transpose.
struct SharedSource {
  ValueId value, transposed;
  Rows rows;
  bool gathered = false;  // wherever a stage reads it; else once, in begin
};

class Shares {
 public:
  Shares(const Graph& graph, const Sharding& sharding, const MemoryPolicy& policy);

  std::vector<SharedParameter> parameters;
  std::vector<SharedSource> sources;
  std::vector<std::pair<ValueId, Rows>> states;  // the optimizer's, of their parameters' rows
  // Sources to gather before a range's stage begins.
  using Stage = std::pair<Range, uint32_t>;
  std::map<Stage, std::vector<uint32_t>> gathers;
  std::vector<uint32_t> stages;              // by node
  std::array<uint32_t, kRangeCount> ends{};  // by range, its last node

  uint32_t root_of(ValueId v) const { return places_[v.index].root; }
  // Null: none.
  const SharedParameter* parameter_of(ValueId v) const { return find(by_value_, v); }
  const SharedParameter* owner_of_gradient(ValueId v) const { return find(by_gradient_, v); }
  // The position in sources of a value that is one, or the transpose of one.
  std::optional<uint32_t> source_of(ValueId v) const;
  // The op is done on own rows of a matrix: it is the first input.
  bool is_by_rows(const Node& node) const;

 private:
  using LastUses = std::map<std::pair<uint32_t, Range>, uint32_t>;  // by source and range, a stage
  const SharedParameter* find(const std::map<uint32_t, size_t>& by_root, ValueId v) const;
  void add_parameter(const Graph& graph, const Node& node, uint32_t ranks);
  void add_sources(const Graph& graph, const Sharding& sharding, const MemoryPolicy& policy);
  void add_source(ValueId value, ValueId transposed, const SharedParameter& p, bool gathered);
  void find_uses(const Graph& graph, uint32_t gather_distance);
  void use(uint32_t source, Range range, uint32_t stage, uint32_t gather_distance, LastUses& last_uses);

  std::vector<Place> places_;
  std::map<uint32_t, size_t> by_value_, by_gradient_;  // by root
  std::map<uint32_t, uint32_t> source_of_;             // by value
};

// The op updates a parameter, and knows its place in the whole.
inline bool updates_by_rank(const Node& node) {
  return node.has_kernel() && op_of(node.op).by_rank != nullptr;
}

}  // namespace tandem
