#include <array>

#include "core/ops/op.h"

namespace tandem {

const Op& op_of(OpId id) {
  static constexpr std::array<const Op*, kOpCount> kOps{
#define OP(name) &ops::name,
#include "core/ops/table.inc"
#undef OP
  };
  TANDEM_CHECK(size_t(id) < kOpCount, "op {} has no kernel", name_of(id));
  return *kOps[size_t(id)];
}

std::string_view name_of(OpId id) {
  switch (id) {
#define OP(name)   \
  case OpId::name: \
    return #name;
#include "core/ops/table.inc"
#undef OP
    case OpId::zeros:
      return "zeros";
    case OpId::slice:
      return "slice";
    case OpId::concat:
      return "concat";
    case OpId::copy:
      return "copy";
  }
  return "?";
}

uint64_t bytes_of(std::span<const TensorDesc> descs) {
  uint64_t bytes = 0;
  for (const TensorDesc& d : descs) bytes += d.bytes();
  return bytes;
}

}  // namespace tandem
