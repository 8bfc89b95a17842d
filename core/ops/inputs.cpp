#include "core/ops/inputs.h"

namespace tandem::ops {

Inputs::Inputs(std::string_view op, Operands descs, size_t least, size_t most) : op_(op), descs_(descs) {
  require(least <= size() && size() <= most, "{}: {} inputs, expected {} to {}", op_, size(), least, most);
  for (size_t i = 0; i < size(); ++i)
    require(descs_[i].shape.count() <= UINT32_MAX, "{}: input {} is {}, expected fewer than 2^32 elements", op_, i,
            descs_[i]);
}

void Inputs::expect(size_t i, std::string_view operand, const TensorDesc& wanted) const {
  require(descs_[i] == wanted, "{}: {} is {}, expected {}", op_, operand, descs_[i], wanted);
}

const TensorDesc& Inputs::floats(size_t i, std::string_view operand) const {
  const TensorDesc& d = descs_[i];
  require(d.dtype == DType::f32 || d.dtype == DType::bf16, "{}: {} is {}, expected f32 or bf16", op_, operand, d);
  return d;
}

const TensorDesc& Inputs::matrix(size_t i, std::string_view operand, uint64_t multiple) const {
  const TensorDesc& d = floats(i, operand);
  require(d.shape.rank() == 2 && d.shape.count() > 0 && d.shape[1] % multiple == 0,
          "{}: {} is {}, expected two axes, the last a multiple of {}", op_, operand, d, multiple);
  return d;
}

const TensorDesc& Inputs::heads(size_t i, std::string_view operand, uint32_t q_heads, uint32_t kv_heads,
                                uint32_t head_dim) const {
  require(head_dim > 0 && head_dim % 8 == 0 && head_dim <= 256,
          "{}: head_dim is {}, expected a multiple of 8 up to 256", op_, head_dim);
  require(kv_heads > 0 && q_heads > 0 && q_heads % kv_heads == 0,
          "{}: {} query heads and {} key heads, expected a multiple", op_, q_heads, kv_heads);
  const TensorDesc& d = matrix(i, operand);
  const uint64_t columns = (uint64_t(q_heads) + 2 * uint64_t(kv_heads)) * head_dim;
  require(d.shape[1] == columns, "{}: {} is {}, expected {} columns of stacked q, k and v heads", op_, operand, d,
          columns);
  return d;
}

bool Inputs::amax(size_t i) const {
  if (i >= size()) return false;
  expect(i, "amax", amax_desc(true));
  return true;
}

}  // namespace tandem::ops
