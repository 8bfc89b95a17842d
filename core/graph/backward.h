// Reverse mode: walks a range's nodes backwards and lets each op's vjp emit its gradient.
#pragma once

#include <unordered_map>

#include "core/graph/quantizer.h"

namespace tandem {

class Backward {
 public:
  // quantizer: of the same range, for cotangents that e4m3 GEMMs read
  Backward(Graph& graph, Range range, Quantizer* quantizer = nullptr)
      : graph_(graph), range_(range), quantizer_(quantizer) {}

  // cotangents of activations: add() sums when a value has several uses
  ValueId cotangent(ValueId value) const;  // not present() when nothing depends on it
  void add(ValueId value, ValueId cotangent);
  // A parameter (or a value that stands for one, such as its fp8 copy) has an accumulator in place of a cotangent.
  void set_accumulator(ValueId parameter, ValueId accumulator);
  bool has_accumulator(ValueId value) const;
  ValueId accumulator(ValueId value) const;
  void update_accumulator(ValueId value, ValueId accumulated);  // after an in-place accumulate
  void stands_for(ValueId copy, ValueId parameter);
  // nodes first .. last-1 of the graph, backwards, those of this range only
  void run(uint32_t first, uint32_t last);

  // for vjps: adds a node in this range, labelled after n
  std::vector<ValueId> emit(const Node& n, OpId op, Parameters parameters, std::vector<ValueId> inputs);
  Graph& graph() { return graph_; }
  // e4m3 copies of a cotangent, made once and shared by dgrad and wgrad
  Quantized quantized(const Node& n, ValueId cotangent);
  // Zeroed words for the amax of what becomes value's whole cotangent, when that will be quantized: value comes from an
  // e4m3 GEMM and has no cotangent yet. Else not present().
  ValueId amax_slot(ValueId value);
  // Does nothing but products read value's whole cotangent, as e4m3 codes? Then it need not exist in bf16: value comes
  // from an e4m3 GEMM without bias, has no cotangent yet, and scales can be guessed.
  bool only_quantized(ValueId value) const;
  // value's cotangent is what op makes of these inputs, as codes alone (Quantizer::quantize_result)
  template <typename P>
  void add_quantized(const Node& n, ValueId value, OpId op, const P& p, const std::vector<ValueId>& inputs) {
    const Quantized copies = quantizer_->quantize_result(op, p, inputs, n.label);
    quantized_[copies.q.index] = copies;
    add(value, copies.q);
  }
  // amax is that of cotangent: quantized needs no pass of its own
  void set_amax(ValueId cotangent, ValueId amax) { amaxes_[cotangent.index] = amax; }

 private:
  ValueId parameter_of(ValueId value) const;
  const Node* e4m3_gemm_of(ValueId value) const;  // that made it, if one did
  Graph& graph_;
  Range range_;
  Quantizer* quantizer_;
  std::unordered_map<uint32_t, ValueId> cotangents_, accumulators_, stands_for_, amaxes_;
  std::unordered_map<uint32_t, Quantized> quantized_;
};

}  // namespace tandem
