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

  // the node, with other parameters perhaps, and its inputs mapped; its outputs are mapped to the new ones
  void copy(const Node& node) { copy(node, node.parameters); }
  void copy(const Node& node, const Parameters& parameters) { copy(node, parameters, true); }
  // the same once more, under no names
  void copy_again(const Node& node) { copy(node, node.parameters, false); }
  // the node with other parameters and inputs (of the new graph) under another phase; nothing is mapped. Its outputs,
  // until the next node
  const ValueIds& emit(const Node& node, const Parameters& parameters, ValueIds inputs, Phase phase);

  Graph& graph() { return graph_; }
  Graph take() { return std::move(graph_); }

 private:
  void inherit(ValueId old, ValueId now);  // kind, layer, place
  void copy(const Node& node, const Parameters& parameters, bool with_names);
  // True if inputs of the old graph and of the new one have the same descs and rows.
  bool are_alike(const ValueIds& old, const ValueIds& now) const;

  const Graph& from_;
  Graph graph_;
  std::vector<ValueId> map_;
};

}  // namespace tandem
