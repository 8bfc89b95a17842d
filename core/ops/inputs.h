// What infer functions share: the inputs of an op, checked. Every failed check is an Exit::internal error that names op
// and operand.
#pragma once

#include "core/abi/amax.h"
#include "core/ops/op.h"

namespace tandem::ops {

class Inputs {
 public:
  // least .. most inputs; each below 2^32 elements, as the kernels' indices are u32
  Inputs(std::string_view op, Operands descs, size_t least, size_t most);

  const TensorDesc& operator[](size_t i) const { return descs_[i]; }
  size_t size() const { return descs_.size(); }
  bool has(size_t i) const { return i < descs_.size() && descs_[i].dtype != DType::none; }

  void expect(size_t i, std::string_view operand, const TensorDesc& wanted) const;
  // f32 or bf16
  const TensorDesc& floats(size_t i, std::string_view operand) const;
  // f32 or bf16 (rows, columns); columns a multiple of `multiple`
  const TensorDesc& matrix(size_t i, std::string_view operand, uint64_t multiple = 1) const;
  // f32 or bf16 (rows, (q_heads + 2 kv_heads) * head_dim): stacked q | k | v heads
  const TensorDesc& heads(size_t i, std::string_view operand, uint32_t q_heads, uint32_t kv_heads,
                          uint32_t head_dim) const;
  // a trailing optional (64) u32 that the op updates in place: not an input at all when absent
  bool amax(size_t i) const;

 private:
  std::string_view op_;
  Operands descs_;
};

// sizes of checked operands fit
inline uint32_t u32(uint64_t size) {
  return static_cast<uint32_t>(size);
}

inline TensorDesc f32_desc(Shape shape) {
  return {DType::f32, shape};
}
inline TensorDesc u32_desc(Shape shape) {
  return {DType::u32, shape};
}
inline TensorDesc i32_desc(Shape shape) {
  return {DType::i32, shape};
}
inline TensorDesc amax_desc(bool present) {
  return present ? u32_desc({abi::kAmaxWords}) : TensorDesc{};
}

}  // namespace tandem::ops
