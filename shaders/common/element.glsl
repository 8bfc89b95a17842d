// Single elements of a storage buffer as f32. T is f32, bf16 or e4m3: ELEMENT(T) is its storage type.
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_shader_16bit_storage : require
#extension GL_EXT_shader_8bit_storage : require
#include "core/abi/numeric.h"

#define ELEMENT_f32 float
#define ELEMENT_bf16 uint16_t
#define ELEMENT_e4m3 uint8_t
#define FROM_ELEMENT_f32(x) (x)
#define FROM_ELEMENT_bf16(x) f32_from_bf16(uint(x))
#define FROM_ELEMENT_e4m3(x) f32_from_e4m3(uint(x))
#define TO_ELEMENT_f32(x) (x)
#define TO_ELEMENT_bf16(x) uint16_t(bf16_from_f32(x))

#define ELEMENT_JOIN_EXPANDED(a, b) a##b
#define ELEMENT_JOIN(a, b) ELEMENT_JOIN_EXPANDED(a, b)
#define ELEMENT(T) ELEMENT_JOIN(ELEMENT_, T)
#define FROM_ELEMENT(T, x) ELEMENT_JOIN(FROM_ELEMENT_, T)(x)
#define TO_ELEMENT(T, x) ELEMENT_JOIN(TO_ELEMENT_, T)(x)
