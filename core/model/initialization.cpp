// Parameters drawn from a seed: see normal.h; the scale is initializer_range.
#include <algorithm>

#include "core/model/normal.h"
#include "core/model/weights.h"

namespace tandem {
namespace {

constexpr uint32_t kInitialisationStream = 4;

// Consecutive elements of a stored tensor; one: 1.0 as T.
template <typename T>
void draw(const ModelConfig& config, ParameterKind kind, const NormalStream& from, uint64_t first, T one,
          std::span<std::byte> place) {
  const std::span<T> out(reinterpret_cast<T*>(place.data()), place.size() / sizeof(T));
  if (kind == ParameterKind::matrix) draw_normal(from, config.initializer_range, first, out);
  else std::ranges::fill(out, kind == ParameterKind::norm ? one : T{});
}

}  // namespace

void draw_rows(const ModelConfig& config, const ParameterSpec& spec, uint64_t seed, uint64_t first, DType dtype,
               std::span<std::byte> out) {
  TANDEM_CHECK(dtype == DType::f32 || dtype == DType::bf16, "parameters are f32 or bf16, not {}", name_of(dtype));
  fill_rows(spec, first, dtype, out, [&](const StoredTensor& part, uint64_t element, std::span<std::byte> place) {
    const NormalStream from{seed, part.number, kInitialisationStream};
    if (dtype == DType::f32) draw<float>(config, spec.kind, from, element, 1.0f, place);
    else draw<uint16_t>(config, spec.kind, from, element, 0x3f80, place);
  });
}

}  // namespace tandem
