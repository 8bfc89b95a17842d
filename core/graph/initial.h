// What the host fills a variable or external with before the first step.
#pragma once

#include <cstdint>

namespace tandem {

enum class Initial : uint8_t {
  undefined,  // what a range writes before it reads it, or the host fills by name: parameters, inputs, tables
  zero,
  parameter,  // the parameter that its name begins with, up to the last dot
};

}  // namespace tandem
