// What an op's gradient may see and ask: the node that it differentiates, and the calls of reverse mode.
#pragma once

#include <string>
#include <vector>

#include "core/abi/quantize.h"
#include "core/base/label.h"
#include "core/ops/op.h"

namespace tandem {

// An op applied to values. Absent inputs and outputs are not present().
struct OpNode {
  OpId op = kNoOp;
  Parameters parameters;
  ValueIds inputs;
  ValueIds outputs;
  ValueIds saved;  // further values that the vjp wants: transposed fp8 copies
  Label label;     // for people: "layers.3.qkv"
};

// x (R, C) as products want it: q (R, C) and its transpose qt (C, R) e4m3, scale (1) f32
struct Quantized {
  ValueId q, qt, scale;
};

// Parameters of an op that quantizes what it makes by a guess of the scale, and of its check (core/abi/quantize.h).
struct GuessAndCheck {
  Parameters guess, check;
};
template <typename P>
GuessAndCheck guess_and_check(P p) {
  p.scale = abi::kScaleGuessed;
  const Parameters guess(p);
  p.scale = abi::kScaleChecked;
  return {guess, Parameters(p)};
}

// Reverse mode, as vjps see it; graph/backward.h implements it.
class Backward {
 public:
  virtual ~Backward() = default;

  // Cotangents of activations: add() sums where a value has several uses. Not present() while nothing depends on it.
  virtual ValueId cotangent(ValueId value) const = 0;
  virtual void add(ValueId value, ValueId cotangent) = 0;
  // False for parameters, inputs, constants and what is made of them alone, whose cotangents nothing would read.
  virtual bool wants_cotangent(ValueId value) const = 0;
  // The cotangent of value where it has one term so far, which is no other value's too, for a product to accumulate
  // onto; else not present(). What overwrites it takes its place.
  virtual ValueId only_term(ValueId value) const = 0;
  virtual void update_cotangent(ValueId value, ValueId accumulated) = 0;

  // A parameter (or a value that stands for one, such as its fp8 copy) has an accumulator in place of a cotangent.
  virtual bool has_accumulator(ValueId value) const = 0;
  virtual ValueId accumulator(ValueId value) = 0;
  virtual void update_accumulator(ValueId value, ValueId accumulated) = 0;  // after an in-place accumulate

  // Adds a node in this range, labelled after n.
  virtual ValueIds emit(const OpNode& n, OpId op, Parameters parameters, ValueIds inputs) = 0;

  // The e4m3 copies of a cotangent, made once and shared by dgrad and wgrad; the transpose only where it is wanted.
  virtual Quantized quantized(const OpNode& n, ValueId cotangent, bool transpose) = 0;
  // Zeroed words for the amax of value's whole cotangent where that will be quantized: value comes from an e4m3
  // product and has no cotangent yet. Else not present().
  virtual ValueId amax_slot(ValueId value) = 0;
  // The amax of cotangent has been taken: quantized() needs no pass of its own.
  virtual void set_amax(ValueId cotangent, ValueId amax) = 0;
  // True if only products read the cotangent of value, as e4m3 codes: then it need not exist in bf16.
  virtual bool only_quantized(ValueId value) const = 0;
  // The cotangent of value is what op makes of these inputs, as codes alone.
  virtual void add_quantized(const OpNode& n, ValueId value, OpId op, const GuessAndCheck& parameters,
                             const ValueIds& inputs) = 0;
};

}  // namespace tandem
