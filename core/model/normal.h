// Normally distributed values by inversion of random words, the same on every machine: additions, multiplications,
// divisions and square roots of f64 alone.
#pragma once

#include <cstdint>
#include <span>

namespace tandem {

// Words of Philox that a tensor's elements take.
struct NormalStream {
  uint64_t seed = 0;
  uint32_t number = 0;  // the stored tensor's
  uint32_t stream = 0;
};

// out[i] is scale * inverse_normal((w + 1/2) * 2^-32), rounded to f32, with w word e mod 4 of
// philox(seed, (e div 4, number, 0, stream)) and e = first + i. As uint16_t it is rounded further, to bf16.
void draw_normal(const NormalStream& from, double scale, uint64_t first, std::span<float> out);
void draw_normal(const NormalStream& from, double scale, uint64_t first, std::span<uint16_t> out);

// The z with probability p below it; p in (0, 1), relative error under 1e-12 for p and 1 - p from 2^-34.
double inverse_normal(double p);

}  // namespace tandem
