// apollo_update: see core/abi/apollo_update.h. A thread takes 8 blocks of 4 elements, one Philox block each for a bf16
// p. Reads x and p or, with a master, that; writes p and the master: in bf16 6 bytes per element, at 90% of 4.3
// TB/s 1.6 ns per 1000 elements. No sums.
#include "core/abi/apollo_update.h"

#include "core/abi/adamw_corrections.h"
#include "kernels/channel.cuh"
#include "kernels/update_words.cuh"

namespace tandem::kernels {
namespace {

constexpr uint32_t kThreads = 256, kBlocksPerThread = 8;

// each null where it is absent
struct Factors {
  const float *channels, *all;
};

template <typename T>
__global__ void __launch_bounds__(kThreads)
    apollo_update_kernel(abi::ApolloUpdate p, const T* __restrict__ x, Factors factors,
                         const abi::UpdateScalars* __restrict__ update, T* __restrict__ parameter,
                         float* __restrict__ master) {
  const abi::UpdateScalars u = one_for_all_lanes(*update);
  if (u.skipped) return;
  const float decay = u.learning_rate * p.decay;
  float rate = ((u.learning_rate * u.correction2_root) / u.correction1) * p.scale;
  if (factors.all) rate = rate * *factors.all;
  for (uint32_t turn = 0; turn < kBlocksPerThread; ++turn) {
    const uint32_t block = (blockIdx.x * kBlocksPerThread + turn) * kThreads + threadIdx.x;
    if (block >= p.count / 4) return;
    const uint32_t at = 4 * (p.first + block);
    const Four v = load_four(x + 4 * block);
    const Four by = factors.channels ? channel_factors(p, factors.channels, block) : Four{{1.0f, 1.0f, 1.0f, 1.0f}};
    Four w = load_updated(parameter, master, at);
    for (uint32_t k = 0; k < 4; ++k) {
      w.v[k] = w.v[k] - decay * w.v[k];
      w.v[k] = w.v[k] - (rate * by.v[k]) * v.v[k];
    }
    store_updated(parameter, master, at, w, u, {block, p.tensor});
  }
}

}  // namespace

bool apollo_update(const Call& call, Stream stream) {
  const auto& p = call.as<abi::ApolloUpdate>();
  if (call.dtype(0) != call.dtype(4)) return false;
  return with_float(call.dtype(4), [&](auto t) {
    using T = decltype(t);
    launch(apollo_update_kernel<T>, dim3((p.count - 1) / (4 * kThreads * kBlocksPerThread) + 1), dim3(kThreads), 0,
           stream, p, call.data<T>(0), Factors{call.data<float>(1), call.data<float>(2)},
           call.data<abi::UpdateScalars>(3), call.data<T>(4), call.data<float>(5));
  });
}

}  // namespace tandem::kernels
