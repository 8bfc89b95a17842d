// The words of an update (abi UpdateScalars): one's for all, or, 64 words apart, those of each segment.
#pragma once

#include "core/abi/adamw_corrections.h"
#include "core/abi/segments.h"
#include "core/abi/step_scalars.h"
#include "kernels/device.cuh"

namespace tandem::kernels {

__device__ __forceinline__ const abi::UpdateScalars& words_of_segment(const abi::UpdateScalars* update,
                                                                      uint32_t segment) {
  const auto* const words = reinterpret_cast<const uint32_t*>(update) + size_t{segment} * abi::kTensorWords;
  return *reinterpret_cast<const abi::UpdateScalars*>(words);
}

// The words where they are one for all lanes, which all call: the compiler then makes the keys of Philox's rounds once
// per warp.
__device__ __forceinline__ abi::UpdateScalars one_for_all_lanes(abi::UpdateScalars u) {
  for (uint32_t* const word : {&u.step, &u.seed_low, &u.seed_high}) *word = __shfl_sync(kFullWarp, *word, 0);
  return u;
}

// p: the op's parameters; block: counted in the whole parameter
template <typename P>
__device__ __forceinline__ const abi::UpdateScalars& words_of_block(const abi::UpdateScalars* update, const P& p,
                                                                    uint32_t block) {
  return words_of_segment(update, p.by_segment != 0 ? abi::segment_of(p.segments, block) : 0);
}

}  // namespace tandem::kernels
