// The gemm op by cuBLASLt: descriptors built once, the algorithm chosen once. What the library does not take
// (unaligned sizes) is left to kernels/gemm.cu.
#pragma once

#include "backends/cuda/device.h"
#include "core/abi/gemm.h"
#include "core/runtime/kernel_choices.h"
#include "kernels/kernel.h"

namespace tandem::cuda {

constexpr uint64_t kGemmWorkspace = 32 << 20;  // bytes; what cuBLASLt wants on Hopper

class GemmPlan {
 public:
  // Null when the library has no algorithm that runs. May run the GEMM, to time algorithms: c is then garbage.
  static std::unique_ptr<GemmPlan> make(Device& device, KernelTable& choices, const kernels::Call& call);

  void run(Device& device, const kernels::Call& call, cudaStream_t stream) const;

 private:
  friend class GemmProposals;
  friend void run_each_product(Device& device);

  GemmPlan(const Device& device, const abi::Gemm& p, const kernels::Call& call);
  cublasStatus_t try_run(Device& device, const kernels::Call& call, const cublasLtMatmulAlgo_t& algorithm,
                         cudaStream_t stream) const;
  bool supports(Device& device, const cublasLtMatmulAlgo_t& algorithm) const;
  std::vector<cublasLtMatmulAlgo_t> candidates(Device& device) const;

  OwnedMatmul matmul_;
  OwnedLayout a_, b_, c_;  // the library's names: its a is the op's b, transposed views of row-major matrices
  std::array<float, 2> own_{1.0f, 0.0f};
  const float* factors_ = nullptr;  // alpha, beta: own_, or with accumulation on the device
  cublasLtMatmulAlgo_t algorithm_{};
};

// Runs a product of each dtype and form once, so that the library has loaded what all products need.
void run_each_product(Device& device);

}  // namespace tandem::cuda
