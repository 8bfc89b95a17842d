// gemm: see core/abi/gemm.h. Any device and any shape: a workgroup of 256 makes a tile of 64 x 64, 4 x 4 an invocation, through shared memory.
// reads a, b, bias, scale_a, scale_b, and c when it accumulates; writes c.
// Each element's products are added in the order of k.
//! variant f32 f32 - - - f32 : -DA=f32 -DC=f32
//! variant f32 f32 f32 - - f32 : -DA=f32 -DC=f32 -DBIAS
//! variant bf16 bf16 - - - bf16 : -DA=bf16 -DC=bf16
//! variant bf16 bf16 bf16 - - bf16 : -DA=bf16 -DC=bf16 -DBIAS
//! variant bf16 bf16 - - - f32 : -DA=bf16 -DC=f32
//! variant e4m3 e4m3 - f32 f32 bf16 : -DA=e4m3 -DC=bf16 -DSCALES
//! variant e4m3 e4m3 bf16 f32 f32 bf16 : -DA=e4m3 -DC=bf16 -DSCALES -DBIAS
//! variant e4m3 e4m3 - f32 f32 f32 : -DA=e4m3 -DC=f32 -DSCALES
//! iterations (p.k / 16 + 1) * 6ull + 50
//! grid divide_up(p.n, 64), divide_up(p.m, 64)
#version 460
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_shader_16bit_storage : require
#extension GL_EXT_shader_8bit_storage : require
#include "core/abi/gemm.h"
#include "shaders/common/element.glsl"

layout(local_size_x = 16, local_size_y = 16) in;
layout(push_constant) uniform Parameters { Gemm p; };
layout(binding = 0) readonly buffer A_in { ELEMENT(A) a[]; };
layout(binding = 1) readonly buffer B_in { ELEMENT(A) b[]; };
#ifdef BIAS
layout(binding = 2) readonly buffer Bias { ELEMENT(C) bias[]; };
#endif
#ifdef SCALES
layout(binding = 3) readonly buffer ScaleA { float scale_a; };
layout(binding = 4) readonly buffer ScaleB { float scale_b; };
#endif
layout(binding = 5) buffer C_out { ELEMENT(C) c[]; };

shared float tile_a[16][65], tile_b[16][65];  // [k][row of A or column of B]

float load_a(uint m, uint k) {
  if (m >= p.m || k >= p.k) return 0.0;
  return FROM_ELEMENT(A, a[p.form == kGemmTn ? k * p.lda + m : m * p.lda + k]);
}

float load_b(uint n, uint k) {
  if (n >= p.n || k >= p.k) return 0.0;
  return FROM_ELEMENT(A, b[p.form == kGemmNt ? n * p.ldb + k : k * p.ldb + n]);
}

void load_tiles(uint m0, uint n0, uint k0) {
  for (uint i = gl_LocalInvocationIndex; i < 1024u; i += 256u) {
    const uint k = i / 64u, j = i % 64u;
    tile_a[k][j] = load_a(m0 + j, k0 + k);
    tile_b[k][j] = load_b(n0 + j, k0 + k);
  }
}

void store(uint m, uint n, float sum) {
  if (m >= p.m || n >= p.n) return;
  precise float value = sum;
#ifdef SCALES
  value = value * (scale_a * scale_b);  // NaN when an operand is poisoned
#endif
#ifdef BIAS
  if (p.has_bias == kGemmMatrix) value = p.alpha * value + p.beta * FROM_ELEMENT(C, bias[m * p.ldc + n]);
  else value = value + FROM_ELEMENT(C, bias[n]);
#endif
  if (p.accumulate == 1u) value = FROM_ELEMENT(C, c[m * p.ldc + n]) + value;
  c[m * p.ldc + n] = TO_ELEMENT(C, value);
}

void main() {
  const uint m0 = gl_WorkGroupID.y * 64u, n0 = gl_WorkGroupID.x * 64u, x = gl_LocalInvocationID.x, y = gl_LocalInvocationID.y;
  float sums[4][4];
  for (uint i = 0u; i < 4u; ++i)
    for (uint j = 0u; j < 4u; ++j) sums[i][j] = 0.0;
  for (uint k0 = 0u; k0 < p.k; k0 += 16u) {
    load_tiles(m0, n0, k0);
    barrier();
    for (uint k = 0u; k < 16u; ++k)
      for (uint i = 0u; i < 4u; ++i)
        for (uint j = 0u; j < 4u; ++j) sums[i][j] += tile_a[k][y + 16u * i] * tile_b[k][x + 16u * j];
    barrier();
  }
  for (uint i = 0u; i < 4u; ++i)
    for (uint j = 0u; j < 4u; ++j) store(m0 + y + 16u * i, n0 + x + 16u * j, sums[i][j]);
}
