// Reverse mode: walks a range's nodes backwards and lets each op's vjp emit its gradient.
#pragma once

#include <unordered_map>
#include <unordered_set>

#include "core/graph/quantizer.h"

namespace tandem {

// a + b, of one shape
ValueId sum(Graph& graph, Range range, ValueId a, ValueId b);

class ReverseMode : public Backward {
 public:
  // quantizer: the same range's, for cotangents that e4m3 products read; may be null
  ReverseMode(Graph& graph, Range range, Quantizer* quantizer = nullptr)
      : graph_(graph), range_(range), quantizer_(quantizer) {}

  void set_accumulator(ValueId parameter, ValueId accumulator);
  // The parameter's gradient, kept under the name, is added up over the micro-steps of a step: the first one makes the
  // zeros, in front of what adds to them.
  void add_up(ValueId parameter, DType dtype, std::string name);
  void stands_for(ValueId copy, ValueId parameter);
  // No gradient of value is wanted, nor of what is made of such values and of earlier nodes' alone: a frozen parameter,
  // a table.
  void freeze(ValueId value) { frozen_.insert(value.index); }
  // Walks the nodes first .. last-1 of the graph backwards, those of this range only.
  void run(uint32_t first, uint32_t last);

  ValueId cotangent(ValueId value) const override;
  void add(ValueId value, ValueId cotangent) override;
  bool wants_cotangent(ValueId value) const override;
  bool has_accumulator(ValueId value) const override;
  ValueId accumulator(ValueId value) override;
  void update_accumulator(ValueId value, ValueId accumulated) override;
  ValueId only_term(ValueId value) const override;
  void update_cotangent(ValueId value, ValueId accumulated) override {
    cotangents_.at(value.index).value = accumulated;
  }
  ValueIds emit(const OpNode& n, OpId op, Parameters parameters, ValueIds inputs) override;
  Quantized quantized(const OpNode& n, ValueId cotangent, bool transpose) override;
  ValueId amax_slot(ValueId value) override;
  void set_amax(ValueId cotangent, ValueId amax) override { amaxes_[cotangent.index] = amax; }
  // value comes from an e4m3 product of a trainable weight, without bias, has no cotangent yet, and scales can be
  // guessed
  bool only_quantized(ValueId value) const override;
  void add_quantized(const OpNode& n, ValueId value, OpId op, const GuessAndCheck& parameters,
                     const ValueIds& inputs) override;

 private:
  struct Cotangent {
    ValueId value;
    uint32_t terms = 0;  // added up in it
    bool read = false;   // by the vjp of what made the value: nothing reads it behind that
  };
  struct Gradient {
    TensorDesc desc;
    std::string name;
  };
  // True if each run of the range makes its bytes anew: they are no binding's, and nobody reads them behind the range.
  bool may_overwrite(ValueId cotangent) const;
  ValueId parameter_of(ValueId value) const;
  ValueId zeros_of(ValueId parameter);
  void spread_frozen(uint32_t first, uint32_t last);
  const Node* e4m3_gemm_of(ValueId value) const;  // the product that made it; null: none did
  Graph& graph_;
  Range range_;
  Quantizer* quantizer_;
  std::unordered_map<uint32_t, Cotangent> cotangents_;
  std::unordered_map<uint32_t, ValueId> accumulators_, stands_for_, amaxes_;
  std::unordered_map<uint32_t, Gradient> added_up_;
  std::unordered_map<uint32_t, Quantized> quantized_;
  std::unordered_set<uint32_t> frozen_;
};

}  // namespace tandem
