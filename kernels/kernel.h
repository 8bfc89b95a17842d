// What the executors of kernels/ (backends/cuda, tests/support/cuda_host) and the kernels agree on. No CUDA header, so
// that both sides of the fence can read it.
#pragma once

#include <cstdint>
#include <span>

#include "core/abi/normal.h"
#include "core/base/dtype.h"

struct CUstream_st;

namespace tandem::kernels {

using Stream = CUstream_st*;  // cudaStream_t

// A dispatch's operand in device memory; absent: dtype none and null.
struct Operand {
  void* data = nullptr;
  DType dtype = DType::none;
  bool present() const { return dtype != DType::none; }
};

struct Call {
  const void* parameters = nullptr;   // the op's struct of core/abi
  std::span<const Operand> operands;  // in the order of core/abi/<op>.h
  void* workspace = nullptr;          // Cost::workspace bytes, contents undefined, 256-byte aligned

  template <typename T>
  const T& as() const {
    return *static_cast<const T*>(parameters);
  }
  DType dtype(size_t i) const { return operands[i].dtype; }
  bool has(size_t i) const { return i < operands.size() && operands[i].present(); }
  template <typename T>
  T* data(size_t i) const {  // null when absent
    return i < operands.size() ? static_cast<T*>(operands[i].data) : nullptr;
  }
};

// Puts the op's kernels on the stream; false: no kernel for these dtypes. A failed launch is CUDA's last error.
using Launcher = bool (*)(const Call&, Stream);

#define OP(name) bool name(const Call& call, Stream stream);  // kernels/<name>.cu
#include "core/ops/table.inc"
#undef OP

// Puts it on the stream: out is f32 or bf16. kernels/draw_normal.cu, which is no op: it runs before any step.
void draw_normal(const abi::NormalDraw& values, const Operand& out, Stream stream);

}  // namespace tandem::kernels
