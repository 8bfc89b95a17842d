// Tensor maps, by which a Hopper copies boxes of a matrix, and whether this device is one.
#pragma once

#include <cudaTypedefs.h>

#include <type_traits>

#include "kernels/hopper.cuh"

namespace tandem::kernels {

inline bool is_hopper() {
  int device = 0, major = 0, minor = 0;
  return cudaGetDevice(&device) == cudaSuccess &&
         cudaDeviceGetAttribute(&major, cudaDevAttrComputeCapabilityMajor, device) == cudaSuccess &&
         cudaDeviceGetAttribute(&minor, cudaDevAttrComputeCapabilityMinor, device) == cudaSuccess && major == 9 &&
         minor == 0;
}

// launch(head_dim as a constant) where this device and the operands have a variant; false: the base kernel is to run
template <typename Launch>
bool launch_on_hopper(const Call& call, uint32_t head_dim, const Launch& launch) {
  if (call.dtype(0) != DType::bf16 || !is_hopper()) return false;
  if (head_dim == 64) return launch(std::integral_constant<int, 64>{});
  if (head_dim == 128) return launch(std::integral_constant<int, 128>{});
  return false;
}

// the driver's function by way of the runtime, so that nothing links the driver; null if it has none
inline PFN_cuTensorMapEncodeTiled_v12000 tensor_map_encoder() {
  static const auto encoder = [] {
    void* found = nullptr;
    cudaDriverEntryPointQueryResult result{};
    const cudaError_t error =
        cudaGetDriverEntryPointByVersion("cuTensorMapEncodeTiled", &found, 12000, cudaEnableDefault, &result);
    return error == cudaSuccess && result == cudaDriverEntryPointSuccess ? found : nullptr;
  }();
  return reinterpret_cast<PFN_cuTensorMapEncodeTiled_v12000>(encoder);
}

// data (sequences, rows, width) as boxes of kBoxRows x kBoxColumns of one sequence; false: the driver does not take it
inline bool make_tensor_map(CUtensorMap& map, const bf16* data, uint32_t sequences, uint32_t rows, uint32_t width) {
  const auto encode = tensor_map_encoder();
  if (encode == nullptr) return false;
  const cuuint64_t sizes[3] = {width, rows, sequences};
  const cuuint64_t strides[2] = {uint64_t(width) * sizeof(bf16), uint64_t(rows) * width * sizeof(bf16)};
  const cuuint32_t box[3] = {kBoxColumns, kBoxRows, 1}, steps[3] = {1, 1, 1};
  return encode(&map, CU_TENSOR_MAP_DATA_TYPE_BFLOAT16, 3, const_cast<bf16*>(data), sizes, strides, box, steps,
                CU_TENSOR_MAP_INTERLEAVE_NONE, CU_TENSOR_MAP_SWIZZLE_128B, CU_TENSOR_MAP_L2_PROMOTION_L2_256B,
                CU_TENSOR_MAP_FLOAT_OOB_FILL_NONE) == CUDA_SUCCESS;
}

// data (rows, width) of words as boxes of kBoxRows of a row
template <typename T>
bool make_row_map(CUtensorMap& map, const T* data, uint32_t rows, uint32_t width) {
  static_assert(sizeof(T) == 4);
  const auto encode = tensor_map_encoder();
  if (encode == nullptr) return false;
  const cuuint64_t sizes[2] = {width, rows}, strides[1] = {uint64_t(width) * sizeof(T)};
  const cuuint32_t box[2] = {kBoxRows, 1}, steps[2] = {1, 1};
  return encode(&map, CU_TENSOR_MAP_DATA_TYPE_INT32, 2, const_cast<T*>(data), sizes, strides, box, steps,
                CU_TENSOR_MAP_INTERLEAVE_NONE, CU_TENSOR_MAP_SWIZZLE_NONE, CU_TENSOR_MAP_L2_PROMOTION_L2_256B,
                CU_TENSOR_MAP_FLOAT_OOB_FILL_NONE) == CUDA_SUCCESS;
}

}  // namespace tandem::kernels
