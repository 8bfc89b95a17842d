// Normally distributed values, drawn on one processor.
#pragma once

#include <span>

#include "core/abi/normal.h"

namespace tandem {

// out has values.count elements, as uint16_t of bf16.
void draw_normal(const abi::NormalDraw& values, std::span<float> out);
void draw_normal(const abi::NormalDraw& values, std::span<uint16_t> out);

}  // namespace tandem
