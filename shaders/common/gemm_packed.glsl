// What gemm.pack.comp and gemm.packed.comp agree on: operands copied into the order in which products read them, so that every load is of the
// next bytes. P, what a packed element is: f32, or bf16 for bf16 and e4m3, whose values times 2^-8 it holds exactly.
// First a: [rows / 32][k][32 rows], then b: [columns / 64][k][64 columns]; rows and columns go to the next multiple of 64, k to that of 8,
// with zeros in k's that there are not.
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_shader_16bit_storage : require
#include "core/abi/gemm.h"
#include "shaders/common/element.glsl"
#include "shaders/common/octet.glsl"

layout(local_size_x = 8) in;
layout(push_constant) uniform Parameters { Gemm p; };

uint packed_k() { return (p.k + 7u) / 8u * 8u; }
uint blocks(uint count) { return (count + 63u) / 64u; }
// packs, of 8 rows or columns at one k
uint packed_a_at(uint octet, uint k) { return (octet / 4u * packed_k() + k) * 4u + octet % 4u; }
uint packed_b_at(uint octet, uint k) { return ((blocks(p.m) + octet / 8u) * packed_k() + k) * 8u + octet % 8u; }
