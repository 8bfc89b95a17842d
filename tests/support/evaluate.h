// One op on its reference, without a Program: for values that a case derives from others, known answers and gradients.
#pragma once

#include <vector>

#include "tests/support/host_backend.h"

namespace tandem::test {

// an operand that owns its memory
struct Buffer {
  TensorDesc desc;
  std::vector<std::byte> bytes;
  std::vector<double> wide;  // in place of bytes

  Tensor view() {
    if (desc.dtype == DType::none) return {};
    return wide.empty() ? Tensor(desc, bytes.data()) : Tensor(desc, wide.data());
  }
};

// all bits set: NaN. wide: f32 kept as double
Buffer make_buffer(const TensorDesc& desc, bool wide = false);
Buffer copy_of(const Tensor& x);
Buffer buffer_of(DType dtype, Shape shape, const std::vector<double>& values);

// infers and runs op; returns its outputs. Inputs that the op overwrites in place are copied first and keep their
// values.
std::vector<Buffer> evaluate(OpId op, Parameters parameters, const std::vector<Tensor>& inputs, bool wide = false);

}  // namespace tandem::test
