// Variants of kernels for sm_90a, which an op's launcher asks first: false where the device or the shape is another, so
// that a device always takes the same kernel. Without TANDEM_HOPPER (no sm_90 in the build; kernels on the CPU) there
// are none.
#pragma once

#include "kernels/kernel.h"

namespace tandem::kernels {

#ifdef TANDEM_HOPPER
bool attention_hopper(const Call& call, Stream stream);
bool attention_backward_query_hopper(const Call& call, Stream stream);
bool attention_backward_key_value_hopper(const Call& call, Stream stream);
#else
inline bool attention_hopper(const Call&, Stream) {
  return false;
}
inline bool attention_backward_query_hopper(const Call&, Stream) {
  return false;
}
inline bool attention_backward_key_value_hopper(const Call&, Stream) {
  return false;
}
#endif

}  // namespace tandem::kernels
