// The graph of a step: values in SSA form and nodes in order, for the forward pass, its gradient and the optimizer.
#pragma once

#include "core/ops/op.h"
#include "core/program/program.h"

namespace tandem {

enum class Lifetime : uint8_t {
  transient,  // made by a node; lives until its last use
  variable,   // on the device from step to step: parameters, m, v, counters, constant tables; a binding
  external,   // in host-visible memory: a step's inputs, its report; a binding
};

struct Value {
  TensorDesc desc;
  Lifetime lifetime = Lifetime::transient;
  std::string name;            // of variables, externals and outputs to keep: the binding's name
  uint32_t node = UINT32_MAX;  // producer; UINT32_MAX for variables and externals
  uint32_t output = 0;
};

struct Node {
  OpId op;
  Parameters parameters;
  std::vector<ValueId> inputs;  // absent ones are not present()
  std::vector<ValueId> outputs;
  std::vector<ValueId> saved;  // further values that the vjp wants: transposed fp8 copies
  Range range;
  std::string label;
  uint32_t in_place = 0, first_output = 0;  // see Signature
  uint64_t first_row = 0;                   // of a slice
};

class Graph {
 public:
  ValueId variable(std::string name, TensorDesc desc);
  ValueId external(std::string name, TensorDesc desc);
  // infers outputs; returns them in order, absent ones not present()
  std::vector<ValueId> add(Range range, OpId op, Parameters parameters, std::vector<ValueId> inputs,
                           std::string label = {});
  ValueId zeros(Range range, TensorDesc desc, std::string label = {});
  ValueId slice(Range range, ValueId x, uint64_t first_row, uint64_t rows);  // over axis 0
  ValueId concat(Range range, std::vector<ValueId> parts);                   // over axis 0
  void keep(ValueId value, std::string name);  // a transient that the host reads: never overlapped, a binding

  const TensorDesc& desc(ValueId v) const { return values_.at(v.index).desc; }
  const std::vector<Value>& values() const { return values_; }
  const std::vector<Node>& nodes() const { return nodes_; }
  Node& node(uint32_t index) { return nodes_.at(index); }
  // checks SSA order, in-place rules (no reader after an overwrite), ranges; Exit::internal
  void verify() const;
  std::string dump() const;

 private:
  ValueId make(Value value);
  ValueId add_structural(Range range, OpId op, TensorDesc desc, std::vector<ValueId> inputs, uint64_t first_row,
                         std::string label);
  std::vector<Value> values_;
  std::vector<Node> nodes_;
};

}  // namespace tandem
