// Values to time kernels on.
#pragma once

#include "backends/cuda/device.h"

namespace tandem::cuda {

// Fills device memory, as the stream gets to it, with normally distributed values of f32, bf16 or e4m3. A GPU at its
// power limit multiplies them at a lower clock than zeros.
void fill_with_noise(Device& device, void* memory, uint64_t bytes, DType dtype, cudaStream_t stream);

}  // namespace tandem::cuda
