// What ops with random bits share: where their operands' elements are counted (core/abi/segments.h).
#pragma once

#include "core/abi/segments.h"
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

}  // namespace tandem::ops
