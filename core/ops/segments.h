// What ops with random bits share: where their operands' elements are counted (core/abi/segments.h).
#pragma once

#include "core/abi/segments.h"
#include "core/abi/step_scalars.h"
#include "core/ops/op.h"

namespace tandem::ops {

// The block of 4 elements that begins at an element: Exit::internal where none does, or beyond 2^34 elements.
inline uint32_t block_at(std::string_view op, uint64_t element) {
  require(element % 4 == 0 && element / 4 <= UINT32_MAX,
          "{}: a part begins at element {}, expected a multiple of 4 below 2^34", op, element);
  return static_cast<uint32_t>(element / 4);
}

inline void check_segments(std::string_view op, const abi::Segments& segments) {
  require(segments.count >= 1 && segments.count <= 4, "{}: {} segments, expected 1 to 4", op, segments.count);
}

// True if update (operand 1) has words per segment; Exit::internal where it is neither one's nor all segments'.
inline bool is_by_segment(std::string_view op, const TensorDesc& update, const abi::Segments& segments) {
  const bool by_segment = update.shape.rank() == 2;
  const Shape wanted = by_segment ? Shape{segments.count, abi::kTensorWords} : Shape{abi::kStepScalarWords};
  require(update == TensorDesc{DType::u32, wanted}, "{}: update is {}, expected u32 {}", op, update, wanted);
  return by_segment;
}

// The parameters of a part of an update that is cut by rows (Split::part), of which operand 2 is the parameter.
template <typename P>
Parameters from_row(const Parameters& parameters, Operands operands, uint32_t first, uint32_t) {
  auto p = parameters.as<P>();
  const Shape& shape = operands[2].shape;
  p.segments.first += block_at("an update", uint64_t(first) * (shape.count() / shape[0]));
  return Parameters(p);
}

inline uint32_t rows_of_update(const Parameters&, Operands operands) {
  return static_cast<uint32_t>(operands[2].shape[0]);
}

// An update whose ranks' rows are so many elements apart.
template <typename P>
Parameters by_rank(const Parameters& parameters, uint64_t elements) {
  auto p = parameters.as<P>();
  p.segments.rank_stride = block_at("an update", elements);
  return Parameters(p);
}

}  // namespace tandem::ops
