// Element types of tensors. Formats: IEEE binary32; bfloat16; OCP 8-bit e4m3 (no infinity, 0x7F is NaN); e5m3, 8 bits
// without a sign (core/abi/state_codes.h); u8, bytes such as the scales of 8-bit states.
#pragma once

#include <cstdint>
#include <string_view>

namespace tandem {

enum class DType : uint8_t { none, f32, bf16, e4m3, i32, u32, u8, e5m3 };

// bytes of an element; 0 for none, which marks an absent operand
constexpr uint64_t size_of(DType dtype) {
  switch (dtype) {
    case DType::none:
      return 0;
    case DType::f32:
      return 4;
    case DType::bf16:
      return 2;
    case DType::e4m3:
      return 1;
    case DType::i32:
      return 4;
    case DType::u32:
      return 4;
    case DType::u8:
      return 1;
    case DType::e5m3:
      return 1;
  }
  return 0;
}

constexpr std::string_view name_of(DType dtype) {
  switch (dtype) {
    case DType::none:
      return "-";
    case DType::f32:
      return "f32";
    case DType::bf16:
      return "bf16";
    case DType::e4m3:
      return "e4m3";
    case DType::i32:
      return "i32";
    case DType::u32:
      return "u32";
    case DType::u8:
      return "u8";
    case DType::e5m3:
      return "e5m3";
  }
  return "?";
}

}  // namespace tandem
