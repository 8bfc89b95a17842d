#include "kernels/launchers.h"

namespace tandem::kernels {

Launcher launcher_of(OpId op) {
  static constexpr Launcher kLaunchers[] = {
#define OP(name) name,
#include "core/ops/table.inc"
#undef OP
  };
  return kLaunchers[size_t(op)];
}

}  // namespace tandem::kernels
