// random_signs: see core/abi/random_signs.h. A thread makes 4 elements of P: one Philox block. Reads 64 bytes, writes
// signs (rank, size) or (size, rank): of a 7B's widest 2 MB in bf16, less than a launch takes. No sums.
#include "core/abi/random_signs.h"

#include "core/abi/adamw_corrections.h"
#include "kernels/device.cuh"

namespace tandem::kernels {
namespace {

constexpr uint32_t kThreads = 256;

template <typename T>
__global__ void __launch_bounds__(kThreads)
    random_signs_kernel(abi::RandomSigns p, const abi::UpdateScalars* __restrict__ update, T* __restrict__ signs) {
  const uint32_t block = blockIdx.x * kThreads + threadIdx.x, count = p.rank * p.size;
  if (block > (count - 1) / 4) return;
  const uint32_t turn = (max(update->updates, 1u) - 1u) / p.every;
  const abi::PhiloxWords words = abi::philox(update->seed_low, update->seed_high, block, p.tensor, turn, 5);
  for (uint32_t k = 0; k < 4; ++k) {
    const uint32_t e = 4 * block + k;
    if (e >= count) return;
    const uint32_t row = e / p.size, column = e % p.size;
    const float x = column >= p.true_size ? 0.0f : (words.word[k] & 1u) != 0 ? -1.0f : 1.0f;
    signs[p.transposed ? column * p.rank + row : e] = from_float<T>(x);
  }
}

}  // namespace

bool random_signs(const Call& call, Stream stream) {
  const auto& p = call.as<abi::RandomSigns>();
  return with_float(call.dtype(1), [&](auto t) {
    using T = decltype(t);
    launch(random_signs_kernel<T>, dim3((p.rank * p.size - 1) / (4 * kThreads) + 1), dim3(kThreads), 0, stream, p,
           call.data<abi::UpdateScalars>(0), call.data<T>(1));
  });
}

}  // namespace tandem::kernels
