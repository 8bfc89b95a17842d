// muon_momentum_8bit: see core/abi/muon_momentum_8bit.h. A warp takes a block of 128 columns, a lane 4 of them: one
// Philox block each. Reads gradient, m and its scales, writes u (rows, columns), m and the scales: in bf16 6.02 bytes
// per element, at 90% of 4.3 TB/s 1.6 ns per 1000 elements. No sums.
#include "core/abi/muon_momentum_8bit.h"

#include "core/abi/adamw_corrections.h"
#include "kernels/quad.cuh"

namespace tandem::kernels {
namespace {

constexpr uint32_t kThreads = 256, kWarps = kThreads / 32;

// the momentum of four elements, from its codes; u: what they are updated by
__device__ __forceinline__ Four next(const abi::MuonMomentum8bit& p, Four g, float coefficient, uint32_t codes,
                                     float unit, Four& u) {
  Four m;
  for (uint32_t i = 0; i < 4; ++i) {
    const float own = g.v[i] * coefficient, before = abi::f32_from_e4m3(codes >> 8 * i & 0xffu) * unit;
    m.v[i] = abi::next_moment(p.momentum, p.one_minus_momentum, before, own);
    u.v[i] = p.nesterov ? abi::next_moment(p.momentum, p.one_minus_momentum, m.v[i], own) : m.v[i];
  }
  return m;
}

template <typename G>
__global__ void __launch_bounds__(kThreads)
    muon_momentum_8bit_kernel(abi::MuonMomentum8bit p, const G* __restrict__ gradient,
                              const abi::UpdateScalars* __restrict__ update, bf16* __restrict__ direction,
                              uint8_t* __restrict__ momentum, uint8_t* __restrict__ scales) {
  const abi::UpdateScalars u = *update;
  const uint32_t blocks = abi::state_blocks(p.columns), block = blockIdx.x * kWarps + threadIdx.x / 32;
  if (block >= p.rows * blocks) return;
  const uint32_t lane = threadIdx.x % 32, column = block % blocks * abi::kStateBlock + lane * 4;
  const uint32_t e = block / blocks * p.columns + column, at = p.first_row * p.columns + e;
  uint8_t* const scale = scales + p.first_row * blocks + block;
  const bool present = column < p.columns;
  Four m{}, by{};
  if (present) {
    m = next(p, load_four(gradient + at), u.coefficient, *reinterpret_cast<const uint32_t*>(momentum + at),
             abi::state_scale(*scale), by);
    store_four(direction + e, by);
  }
  const uint32_t largest = max(max(magnitude(m.v[0]), magnitude(m.v[1])), max(magnitude(m.v[2]), magnitude(m.v[3])));
  const int32_t k = abi::scale_exponent(warp_max(largest));
  __syncwarp();  // all lanes have read the scale
  if (u.skipped) return;
  if (lane == 0) *scale = uint8_t(abi::scale_byte(k));
  if (!present) return;
  const abi::PhiloxWords random = abi::philox(u.seed_low, u.seed_high, e / 4, p.tensor, u.step, 1);
  uint32_t codes = 0;
  for (uint32_t i = 0; i < 4; ++i) codes |= abi::e4m3_from_f32_stochastic(m.v[i], k, random.word[i]) << 8 * i;
  *reinterpret_cast<uint32_t*>(momentum + at) = codes;
}

}  // namespace

bool muon_momentum_8bit(const Call& call, Stream stream) {
  const auto& p = call.as<abi::MuonMomentum8bit>();
  return with_float(call.dtype(0), [&](auto g) {
    using G = decltype(g);
    launch(muon_momentum_8bit_kernel<G>, dim3(ceil_div(p.rows * abi::state_blocks(p.columns), kWarps)), dim3(kThreads),
           0, stream, p, call.data<G>(0), call.data<abi::UpdateScalars>(1), call.data<bf16>(2), call.data<uint8_t>(3),
           call.data<uint8_t>(4));
  });
}

}  // namespace tandem::kernels
