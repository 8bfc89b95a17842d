// shift_amax: see core/abi/shift_amax.h. A thread a slot. Reads and writes 8 bytes of each slot: the time of a launch.
// Sums are of integers.
#include "core/abi/shift_amax.h"

#include "core/abi/amax.h"
#include "core/abi/numeric.h"
#include "kernels/device.cuh"

namespace tandem::kernels {
namespace {

constexpr uint32_t kThreads = 128;

__global__ void __launch_bounds__(kThreads) shift_amax_kernel(abi::ShiftAmax p, uint32_t* amax, uint32_t* counts) {
  const uint32_t slot = blockIdx.x * kThreads + threadIdx.x;
  if (slot >= p.slots) return;
  uint32_t* const words = amax + size_t(slot) * abi::kAmaxWords;
  if (slot >= p.slots - p.guesses && words[0] != 0) {
    atomicAdd(counts, 1u);
    if (!abi::same_scale(words[0], words[abi::kAmaxGuess])) atomicAdd(counts + 1, 1u);
  }
  words[abi::kAmaxGuess] = abi::next_guess(words[abi::kAmaxGuess], words[0]);
  words[0] = 0;
}

}  // namespace

bool shift_amax(const Call& call, Stream stream) {
  const auto& p = call.as<abi::ShiftAmax>();
  launch(shift_amax_kernel, dim3(ceil_div(p.slots, kThreads)), dim3(kThreads), 0, stream, p, call.data<uint32_t>(0),
         call.data<uint32_t>(1));
  return true;
}

}  // namespace tandem::kernels
