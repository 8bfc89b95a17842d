// Builds a graph anew from another, node by node, so that a pass can leave out, add and change nodes on the way.
#pragma once

#include "core/graph/graph.h"

namespace tandem {

class Rewriter {
 public:
  explicit Rewriter(const Graph& from);  // variables and externals are there at once, and mapped

  // the new graph's value for one of the old; absent ones stay absent
  ValueId map(ValueId old) const;
  // what reads old from here on reads this
  void set(ValueId old, ValueId now) { map_.at(old.index) = now; }

  // the node with its inputs mapped; its outputs are mapped to the new ones
  void copy(const Node& node);
  // the same once more, under no names
  void copy_again(const Node& node);
  // the node with other parameters and inputs (of the new graph) under another phase; nothing is mapped
  std::vector<ValueId> emit(const Node& node, const Parameters& parameters, std::vector<ValueId> inputs, Phase phase);

  Graph& graph() { return graph_; }
  Graph take() { return std::move(graph_); }

 private:
  void inherit(ValueId old, ValueId now);  // kind, layer, place
  void copy(const Node& node, bool with_names);

  const Graph& from_;
  Graph graph_;
  std::vector<ValueId> map_;
};

}  // namespace tandem
