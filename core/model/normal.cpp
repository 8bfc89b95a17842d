// Loops over blocks of elements without calls or branches, which the compiler makes vectors of; its flags are set for
// this file alone (core/meson.build).
#include "core/model/normal.h"

#include <algorithm>
#include <array>
#include <bit>

#include "core/base/error.h"

// Variants for wider vectors, chosen when the program starts. None contracts products and sums: bits stay the same.
#if defined(__x86_64__) && defined(__gnu_linux__)
#define TANDEM_WIDE __attribute__((target_clones("default", "avx2", "avx512f")))
#else
#define TANDEM_WIDE
#endif

namespace tandem {
namespace {

constexpr size_t kBlock = 1024;  // elements, whose arrays stay in the first cache
using Block = std::array<double, kBlock>;

// q[4b + i]: word i of counter first + b
TANDEM_WIDE void words(const abi::NormalDraw& from, uint64_t first, Block& q) {
  constexpr size_t kCounters = kBlock / 4;
  uint32_t word[4][kCounters];
  for (size_t b = 0; b < kCounters; ++b) {
    const abi::PhiloxWords w =
        abi::philox(uint32_t(from.seed), uint32_t(from.seed >> 32), uint32_t(first + b), from.number, 0, from.stream);
    for (size_t i = 0; i < 4; ++i) word[i][b] = w.word[i];
  }
  for (size_t b = 0; b < kCounters; ++b)
    for (size_t i = 0; i < 4; ++i) q[4 * b + i] = abi::centred_probability(word[i][b]);
}

TANDEM_WIDE void all_central(const Block& q, Block& z) {
  for (size_t i = 0; i < kBlock; ++i) z[i] = abi::central_normal(q[i]);
}

TANDEM_WIDE void all_tails(Block& p, size_t count) {
  for (size_t i = 0; i < count; ++i) p[i] = abi::tail_normal(p[i]);
}

// z of each q; a quarter of them lie in the tails, which are gathered.
void invert(const Block& q, Block& z) {
  all_central(q, z);
  std::array<uint16_t, kBlock> at;
  size_t count = 0;
  for (size_t i = 0; i < kBlock; ++i) {
    at[count] = uint16_t(i);
    count += std::abs(q[i]) > abi::kCentralHalf;
  }
  Block tails;
  for (size_t i = 0; i < count; ++i) tails[i] = 0.5 - std::abs(q[at[i]]);
  all_tails(tails, count);
  for (size_t i = 0; i < count; ++i) z[at[i]] = q[at[i]] < 0 ? -tails[i] : tails[i];
}

TANDEM_WIDE void round(const Block& z, double scale, float* out, size_t count) {
  for (size_t i = 0; i < count; ++i) out[i] = float(scale * z[i]);
}

TANDEM_WIDE void round(const Block& z, double scale, uint16_t* out, size_t count) {
  for (size_t i = 0; i < count; ++i) {  // bf16, to nearest even; no draw is a NaN
    const uint32_t bits = std::bit_cast<uint32_t>(float(scale * z[i]));
    out[i] = uint16_t((bits + 0x7fffu + (bits >> 16 & 1u)) >> 16);
  }
}

template <typename T>
void draw(const abi::NormalDraw& values, std::span<T> out) {
  TANDEM_CHECK(out.size() == values.count, "{} values for {} places", values.count, out.size());
  Block q, z;
  for (size_t done = 0; done < out.size();) {
    const uint64_t e = values.first + done, skipped = e % 4;
    words(values, e / 4, q);
    invert(q, z);
    std::move(z.begin() + ptrdiff_t(skipped), z.end(), z.begin());
    const size_t count = std::min<size_t>(kBlock - skipped, out.size() - done);
    round(z, values.scale, out.data() + done, count);
    done += count;
  }
}

}  // namespace

void draw_normal(const abi::NormalDraw& values, std::span<float> out) {
  draw(values, out);
}

void draw_normal(const abi::NormalDraw& values, std::span<uint16_t> out) {
  draw(values, out);
}

}  // namespace tandem
