// What the kernels share that quantize what they make: how they come to a scale (core/abi/quantize.h, kScale...).
#pragma once

#include "core/abi/amax.h"
#include "core/abi/quantize.h"
#include "kernels/quantize_tile.cuh"

namespace tandem::kernels {

// The operands behind an op's own.
struct ResultOperands {
  const uint32_t* known;  // amax to read; null where it is guessed
  uint8_t *q, *qt;        // null: not asked for
  float* scale;
  uint32_t* amax;  // to raise, where it is guessed

  // own: how many operands are the op's own
  ResultOperands(const Call& call, size_t own)
      : known(call.data<uint32_t>(own)),
        q(call.data<uint8_t>(own + 1)),
        qt(call.data<uint8_t>(own + 2)),
        scale(call.data<float>(own + 3)),
        amax(call.data<uint32_t>(own + 4)) {}

  __device__ __forceinline__ bool guessed() const { return known == nullptr; }
  // the amax whose scale the codes have
  __device__ __forceinline__ uint32_t basis() const { return guessed() ? amax[abi::kAmaxGuess] : known[0]; }
  // A block's first step: true where nothing is left to do but the scale, which block 0 writes.
  __device__ __forceinline__ bool settle(uint32_t mode) const {
    if (guessed()) return false;
    if (blockIdx.x == 0 && threadIdx.x == 0) scale[0] = abi::scale_of_codes(known[0]);
    return mode == abi::kScaleChecked && abi::same_scale(known[0], known[abi::kAmaxGuess]);
  }
};

// Blocks for so many tiles: one each, but few for a check, which mostly finds nothing to do.
inline dim3 result_grid(uint32_t mode, uint32_t tiles) {
  constexpr uint32_t kCheckBlocks = 512;
  return dim3(mode == abi::kScaleChecked ? min(tiles, kCheckBlocks) : tiles);
}

}  // namespace tandem::kernels
