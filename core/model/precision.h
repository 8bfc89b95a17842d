// A recipe resolved to dtypes; see docs/numerics.md.
#pragma once

#include "core/base/dtype.h"

namespace tandem {

enum class Recipe : uint8_t { fp32, bf16, fp8 };

constexpr std::string_view name_of(Recipe recipe) {
  return recipe == Recipe::fp32 ? "fp32" : recipe == Recipe::bf16 ? "bf16" : "fp8";
}

// The least that the sizes of a recipe's products are multiples of: rows, widths.
constexpr uint32_t size_multiple(Recipe recipe) {
  return recipe == Recipe::fp8 ? 16 : 1;
}

struct Precision {
  Recipe recipe = Recipe::fp8;
  DType gradient = DType::bf16, m = DType::bf16, v = DType::bf16;
  bool master = false;             // f32 copies of the parameters
  bool fast_accumulation = false;  // for the training forward's e4m3 products

  bool fp8() const { return recipe == Recipe::fp8; }
  DType compute() const { return recipe == Recipe::fp32 ? DType::f32 : DType::bf16; }  // parameters and activations
};

}  // namespace tandem
