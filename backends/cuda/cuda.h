// The CUDA backend: NVIDIA GPUs from Ampere (sm_80) on, fp8 from sm_89. It lives in a module of its own,
// libtandem-cuda.so, that is opened when devices are asked for, so that one `tandem` starts on machines without a
// driver or CUDA's libraries. The module is looked for beside the executable, in ../lib/tandem and in ../backends/cuda
// (the build tree).
//
// Environment: TANDEM_CUDA_GRAPHS=0 submits instruction by instruction instead of capturing a range as a CUDA graph;
// TANDEM_CUDA_SYNCHRONOUS=1 waits after each instruction, so that a device failure names the one that failed.
#pragma once

#include <string>

#include "core/runtime/backend.h"

namespace tandem {

// Its devices() says why there is none: no module, no driver, no library, no device that is new enough.
BackendFactory cuda_backend();

// What the module exports: the id of its build, and its factory.
constexpr const char* kCudaModuleBuild = "tandem_cuda_build";
using CudaModuleEntry = const BackendFactory& (*)();
constexpr const char* kCudaModuleEntry = "tandem_cuda_module";

struct CudaModule {
  const BackendFactory* factory = nullptr;
  std::string missing;  // Why there is no factory.
};

// As open_module (backends/cuda/module.h).
CudaModule open_cuda_module(const std::string& path);

}  // namespace tandem
