// What ops share that quantize the tensor they make (core/abi/quantize.h, kScale...). After the op's own inputs come
//   guessed: -, amax -> q, qt|-, -, amax in place
//   checked: amax, q, qt|- -> q, qt|- in place, scale, -
//   known:   amax -> q|-, qt|-, scale, -
// so that operands are always the op's own inputs, amax|-, q, qt, scale|-, amax|-.
#pragma once

#include "core/ops/inputs.h"

namespace tandem::ops {

constexpr size_t kMostQuantizedInputs = 3;  // behind the op's own

// own: how many inputs are the op's own; shape: of the tensor; scale: kScale...; q, qt: which copies are made
Signature quantized_signature(const Inputs& in, size_t own, const Shape& shape, uint32_t scale, bool q, bool qt);

// The parameters P of an op that makes these copies alone: of its outputs, 0 is q and 1 is qt.
template <typename P>
Parameters wanted_copies(const Parameters& parameters, Outputs wanted) {
  auto p = parameters.as<P>();
  p.has_q = wanted[0];
  p.has_qt = wanted[1];
  return Parameters(p);
}

// Bytes of one pass that reads the op's own inputs and writes the copies; next to none where a right guess is checked.
uint64_t quantized_bytes(Operands operands, size_t own, uint32_t scale);

// descs of the copies, their scale and the amax that is taken for it
Budget quantized_budget(const Parameters& parameters, Operands operands, size_t i);

}  // namespace tandem::ops
