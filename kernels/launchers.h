// The launchers by op, for the executors.
#pragma once

#include "core/ops/op.h"
#include "kernels/kernel.h"

namespace tandem::kernels {

Launcher launcher_of(OpId op);  // op has a kernel

}  // namespace tandem::kernels
