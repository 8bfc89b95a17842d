#include "core/step/frozen_codes.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <cstring>

#include "core/abi/numeric.h"
#include "core/base/parallel.h"
#include "core/base/size.h"

namespace tandem {
namespace {

constexpr uint64_t kGrain = 1 << 20;  // elements

uint16_t element(std::span<const std::byte> data, uint64_t e) {
  uint16_t code = 0;
  std::memcpy(&code, data.data() + e * sizeof(code), sizeof(code));
  return code;
}

// Bits of the largest |x| as f32; those of a NaN are above all others.
uint32_t amax_of(std::span<const std::byte> data) {
  std::atomic<uint32_t> largest{0};
  parallel_for(data.size() / 2, kGrain, [&](uint64_t first, uint64_t last) {
    uint32_t mine = 0;
    for (uint64_t e = first; e < last; ++e) mine = std::max<uint32_t>(mine, element(data, e) & 0x7fffu);
    uint32_t seen = largest;
    while (seen < mine && !largest.compare_exchange_weak(seen, mine)) {
    }
  });
  return largest << 16;
}

// The code of each bf16 value under an amax.
std::vector<uint8_t> code_table(uint32_t amax) {
  std::vector<uint8_t> table(1 << 16);
  for (uint32_t code = 0; code < table.size(); ++code)
    table[code] = uint8_t(abi::quantize_e4m3(abi::f32_from_bf16(code), amax));
  return table;
}

std::vector<uint8_t> quantize(std::span<const std::byte> data, uint32_t amax) {
  const std::vector<uint8_t> table = code_table(amax);
  std::vector<uint8_t> codes(data.size() / 2);
  parallel_for(codes.size(), kGrain, [&](uint64_t first, uint64_t last) {
    for (uint64_t e = first; e < last; ++e) codes[e] = table[element(data, e)];
  });
  return codes;
}

// Tiles keep both sides in the processor's cache.
std::vector<uint8_t> transpose(const std::vector<uint8_t>& codes, uint64_t rows, uint64_t columns) {
  constexpr uint64_t kTile = 64;
  std::vector<uint8_t> transposed(codes.size());
  parallel_for(divide_up(columns, kTile), std::max<uint64_t>(1, kGrain / (kTile * rows)),
               [&](uint64_t first, uint64_t last) {
                 for (uint64_t c0 = first * kTile; c0 < std::min(columns, last * kTile); c0 += kTile)
                   for (uint64_t r0 = 0; r0 < rows; r0 += kTile)
                     for (uint64_t c = c0; c < std::min(columns, c0 + kTile); ++c)
                       for (uint64_t r = r0; r < std::min(rows, r0 + kTile); ++r)
                         transposed[c * rows + r] = codes[r * columns + c];
               });
  return transposed;
}

}  // namespace

void write_codes(Session& session, const ParameterSpec& weight, std::span<const std::byte> data) {
  const uint32_t amax = amax_of(data);
  const std::vector<uint8_t> codes = quantize(data, amax);
  const std::array<float, 1> scale{abi::scale_of_codes(amax)};
  session.write(weight.name + ".q", bytes_of(codes));
  session.write(weight.name + ".scale", bytes_of(scale));
  if (session.has(weight.name + ".qt"))
    session.write(weight.name + ".qt", bytes_of(transpose(codes, weight.shape[0], weight.shape[1])));
}

}  // namespace tandem
