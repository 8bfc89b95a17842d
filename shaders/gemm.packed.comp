// gemm of packed operands, for subgroups of 8: see core/abi/gemm.h and shaders/common/gemm_packed.glsl.
// reads bias, scale_a, scale_b, the scratch, and c when it accumulates; writes c.
// One subgroup makes 32 rows x 64 columns of C, lane l the columns 8 l ... 8 l + 7. Each sum of C is one f32 over k ascending. Per 2 k's a lane
// loads 8 rows of A at one k and 8 columns of B at both; a subgroupShuffle by a literal hands A's values around. The sums go in sub-tiles of
// 8 rows x 4 columns: with 2 k's a sub-tile's operands fit the registers, and each sum is read and written once.
// Columns of C from n to the next multiple of 8 are its padding, and are overwritten.
//! variant f32 f32 - - - f32 : -DP=f32 -DC=f32
//! variant f32 f32 f32 - - f32 : -DP=f32 -DC=f32 -DBIAS
//! variant bf16 bf16 - - - bf16 : -DP=bf16 -DC=bf16
//! variant bf16 bf16 bf16 - - bf16 : -DP=bf16 -DC=bf16 -DBIAS
//! variant bf16 bf16 - - - f32 : -DP=bf16 -DC=f32
//! variant e4m3 e4m3 - f32 f32 bf16 : -DP=bf16 -DC=bf16 -DSCALES
//! variant e4m3 e4m3 bf16 f32 f32 bf16 : -DP=bf16 -DC=bf16 -DSCALES -DBIAS
//! variant e4m3 e4m3 - f32 f32 f32 : -DP=bf16 -DC=f32 -DSCALES
//! subgroups 8
//! when p.lda % 8 == 0 && p.ldb % 8 == 0 && p.ldc % 8 == 0
//! scratch (divide_up(p.m, 64) + divide_up(p.n, 64)) * 64 * round_up(p.k, 8) * (p.has_scales ? 2 : 4)
//! after pack
//! specialize 0 p.accumulate
//! iterations p.k / 2 + 2
//! grid divide_up(p.m, 32), divide_up(p.n, 64)
#version 460
#extension GL_GOOGLE_include_directive : require
#include "shaders/common/gemm_packed.glsl"

layout(constant_id = 0) const uint kAccumulate = 0u;
#ifdef BIAS
layout(binding = 2) readonly buffer Bias { ELEMENT(C) bias[]; };
#endif
#ifdef SCALES
layout(binding = 3) readonly buffer ScaleA { float scale_a; };
layout(binding = 4) readonly buffer ScaleB { float scale_b; };
#endif
layout(binding = 5) buffer COut { WIDE(C) c[]; };
layout(binding = 6, rgba32ui) uniform readonly uimageBuffer packed;

#define ZERO(r, r0) sums[r0 + r] = splat(0.0);
#define MULTIPLY_ADD(r, k, r0, half) sums[r0 + r].half += subgroupShuffle(AT(a, r), uint(4 * k + r0 / 8)) * b[k].half;
#define SUB_TILE(r0, half)               \
  EACH8_3(MULTIPLY_ADD, 0, r0, half)     \
  EACH8_3(MULTIPLY_ADD, 1, r0, half)
#define ROWS(r0)        \
  SUB_TILE(r0, low)     \
  SUB_TILE(r0, high)
#define STORE_ROW(r, r0) store(m0 + uint(r0 + r), n0, sums[r0 + r]);

void store(uint m, uint n, Pack sum) {
  if (m >= p.m || n >= p.n) return;
#ifdef SCALES
  sum = scale(sum, 65536.0 * (scale_a * scale_b));  // 2^16: both operands were read as 2^-8 times theirs
#endif
#ifdef BIAS
  const bool matrix = p.has_bias == kGemmMatrix;
  const uint line = matrix ? m * p.ldc : 0u;
  if (matrix) sum = scale(sum, p.alpha);
  precise const float by = matrix ? p.beta : 1.0;
#define BIAS_AT(j) (n + j < p.n ? by * FROM_ELEMENT(C, bias[line + n + j]) : 0.0)
  sum.low += vec4(BIAS_AT(0u), BIAS_AT(1u), BIAS_AT(2u), BIAS_AT(3u));
  sum.high += vec4(BIAS_AT(4u), BIAS_AT(5u), BIAS_AT(6u), BIAS_AT(7u));
#endif
  const uint at = m * (p.ldc / 8u) + n / 8u;
  if (kAccumulate == 1u) sum = add(pack_from_wide(c[at]), sum);
  STORE_WIDE(C, c, at, sum);
}

void main() {
  const uint lane = gl_SubgroupInvocationID, m0 = gl_WorkGroupID.x * 32u, n0 = gl_WorkGroupID.y * 64u + lane * 8u;
  const uint a_at = packed_a_at(m0 / 8u, 0u) + lane, b_at = packed_b_at(n0 / 8u, 0u), depth = (p.k + 1u) / 2u * 2u;
  Pack sums[32];
  EACH8_1(ZERO, 0)
  EACH8_1(ZERO, 8)
  EACH8_1(ZERO, 16)
  EACH8_1(ZERO, 24)
  for (uint k0 = 0u; k0 < depth; k0 += 2u) {
    const Pack a = LOAD(P, packed, a_at + k0 * 4u);
    Pack b[2];
    b[0] = LOAD(P, packed, b_at + k0 * 8u);
    b[1] = LOAD(P, packed, b_at + k0 * 8u + 8u);
    ROWS(0)
    ROWS(8)
    ROWS(16)
    ROWS(24)
  }
  EACH8_1(STORE_ROW, 0)
  EACH8_1(STORE_ROW, 8)
  EACH8_1(STORE_ROW, 16)
  EACH8_1(STORE_ROW, 24)
}
