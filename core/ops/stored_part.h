// What ops share that read or update one stored tensor of a parameter, which may stack several.
#pragma once

#include "core/abi/step_scalars.h"
#include "core/ops/inputs.h"

namespace tandem::ops {

// Exit::internal unless update has the words (abi UpdateScalars) of all tensors together, or a row of them per tensor,
// and the row is one of these.
inline void check_update_row(std::string_view op, const TensorDesc& update, uint32_t row) {
  const bool several = update.shape.rank() == 2;
  const uint64_t rows = several ? update.shape[0] : 1;
  const Shape wanted = several ? Shape{rows, abi::kTensorWords} : Shape{abi::kStepScalarWords};
  require(update == u32_desc(wanted) && row < rows, "{}: row {} of update {}, expected one of u32 {}", op, row, update,
          wanted);
}

// Exit::internal unless (rows, columns) elements, in whole blocks of 4, lie in x from block `first` on.
inline void check_part(std::string_view op, const TensorDesc& x, uint64_t first, uint64_t rows, uint64_t columns) {
  require(rows > 0 && columns > 0 && columns % 4 == 0 && 4 * first + rows * columns <= x.shape.count(),
          "{}: ({}, {}) from block {} on of {}, expected a part of it with columns a multiple of 4", op, rows, columns,
          first, x);
}

}  // namespace tandem::ops
