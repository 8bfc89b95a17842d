#include <algorithm>
#include <array>

#include "core/ops/vjp.h"

namespace tandem {

const Op& op_of(OpId id) {
  static constexpr std::array<const Op*, kOpCount> kOps{
#define OP(name) &ops::name,
#include "core/ops/table.inc"
#undef OP
  };
  TANDEM_CHECK(size_t(id) < kOpCount, "op {} of {}", size_t(id), kOpCount);
  return *kOps[size_t(id)];
}

std::string_view name_of(OpId id) {
  static constexpr std::string_view kNames[] = {
#define OP(name) #name,
#include "core/ops/table.inc"
#undef OP
      "no op"};
  return kNames[std::min(size_t(id), kOpCount)];
}

Clone again(const OpNode& node, Outputs, Outputs) {
  return {node.parameters, node.inputs};
}

uint64_t bytes_of(Operands descs) {
  uint64_t bytes = 0;
  for (const TensorDesc& d : descs) bytes += d.bytes();
  return bytes;
}

}  // namespace tandem
