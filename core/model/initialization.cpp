// Parameters drawn from a seed: see normal.h; the scale is initializer_range. Of an adapter, element e of a stored
// tensor takes the same word as there and is (2 (word + 1/2) 2^-32 - 1) / sqrt(in), uniform.
#include <algorithm>
#include <cmath>
#include <cstring>

#include "core/abi/numeric.h"
#include "core/model/lora.h"
#include "core/model/normal.h"

namespace tandem {
namespace {

constexpr uint32_t kInitialisationStream = 4;

// Consecutive elements of a stored tensor; one: 1.0 as T.
template <typename T>
void draw(const ModelConfig& config, ParameterKind kind, const StoredTensor& part, uint64_t seed, uint64_t first, T one,
          std::span<std::byte> place) {
  const std::span<T> out(reinterpret_cast<T*>(place.data()), place.size() / sizeof(T));
  if (kind == ParameterKind::matrix) draw_normal(values_of_matrix(config, part, seed, first, out.size()), out);
  else std::ranges::fill(out, kind == ParameterKind::norm ? one : T{});
}

void draw_uniform(const StoredTensor& part, uint64_t seed, uint64_t first, DType dtype, std::span<std::byte> place) {
  const double root = std::sqrt(double(part.shape[1]));
  const uint64_t size = size_of(dtype), count = place.size() / size;
  abi::PhiloxWords words{};
  for (uint64_t i = 0; i < count; ++i) {
    const uint64_t e = first + i;
    if (i == 0 || e % 4 == 0)
      words = abi::philox(uint32_t(seed), uint32_t(seed >> 32), uint32_t(e / 4), part.number, 0, kInitialisationStream);
    const double p = (double(words.word[e % 4]) + 0.5) * 0x1p-32;
    const auto value = float((2 * p - 1) / root);
    const uint32_t bits = dtype == DType::f32 ? abi::float_bits(value) : abi::bf16_from_f32(value);
    std::memcpy(&place[i * size], &bits, size);  // little-endian: the low bytes
  }
}

}  // namespace

abi::NormalDraw values_of_matrix(const ModelConfig& config, const StoredTensor& part, uint64_t seed, uint64_t first,
                                 uint64_t count) {
  return {seed, part.number, kInitialisationStream, config.initializer_range, first, count};
}

void draw_adapter_rows(const ParameterSpec& spec, uint64_t seed, bool b_as_a, uint64_t first, DType dtype,
                       std::span<std::byte> out) {
  fill_rows(spec, first, dtype, out, [&](const StoredTensor& part, uint64_t element, std::span<std::byte> place) {
    if (spec.kind == ParameterKind::lora_a || b_as_a) draw_uniform(part, seed, element, dtype, place);
    else std::ranges::fill(place, std::byte{});
  });
}

void draw_rows(const ModelConfig& config, const ParameterSpec& spec, uint64_t seed, uint64_t first, DType dtype,
               std::span<std::byte> out) {
  TANDEM_CHECK(dtype == DType::f32 || dtype == DType::bf16, "parameters are f32 or bf16, not {}", name_of(dtype));
  fill_rows(spec, first, dtype, out, [&](const StoredTensor& part, uint64_t element, std::span<std::byte> place) {
    if (dtype == DType::f32) draw<float>(config, spec.kind, part, seed, element, 1.0f, place);
    else draw<uint16_t>(config, spec.kind, part, seed, element, 0x3f80, place);
  });
}

}  // namespace tandem
