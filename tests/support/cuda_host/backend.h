// cuda_host: a Backend for tests that runs a Program sequentially with kernels/*.cu, compiled for the CPU.
#pragma once

#include "core/runtime/backend.h"

namespace tandem::test {

BackendFactory cuda_host_backend();
bool has_cuda_kernel(OpId op);

}  // namespace tandem::test
