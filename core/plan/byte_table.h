// Where a plan's bytes go: by what they hold, on the device and on the host, and what is alive when the device holds
// most.
#pragma once

#include "core/passes/compile.h"

namespace tandem {

struct ByteRow {
  std::string name;
  uint64_t device = 0, host = 0;
};

// Rows that are not empty; their device bytes sum to device_bytes() of the plan, their host bytes to the plan's
// host_bytes. Activations are those alive at the peak. words: of memory.offload, which name the optimizer's states.
std::vector<ByteRow> byte_table(const Compiled& compiled, const Target& target, std::span<const std::string> words);

struct LiveValue {
  std::string name;  // the binding's, or the label of the node that makes it
  TensorDesc desc;
  Kind kind = Kind::other;
  uint32_t layer = kNoLayer;
  uint64_t bytes = 0;
};

// The instruction of the graph at which the live transients of the device take most.
struct Peak {
  Range range = Range::micro_step;
  uint32_t position = 0;  // in the range
  std::string label;
  uint64_t bytes = 0;
  std::vector<LiveValue> alive;  // largest first
};
Peak peak_of(const Compiled& compiled);

}  // namespace tandem
