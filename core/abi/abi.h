// What lets one parameter header serve C++, CUDA and GLSL: types of uint32_t, int32_t and float only, 128 bytes at
// most.
#ifndef TANDEM_ABI_ABI_H
#define TANDEM_ABI_ABI_H
#ifdef __cplusplus
#include <cstdint>
#include <type_traits>
#define TANDEM_ABI_BEGIN namespace tandem::abi {
#define TANDEM_ABI_END(T)                                            \
  static_assert(sizeof(T) <= 128, "push constants hold 128 bytes");  \
  static_assert(std::is_trivially_copyable_v<T> && alignof(T) == 4); \
  }
#else
#extension GL_EXT_shader_explicit_arithmetic_types : require
#define TANDEM_ABI_BEGIN
#define TANDEM_ABI_END(T)
#endif
#endif
