// The body of gemm.{nt,nn,tn}.comp, for subgroups of 8: one subgroup makes 16 rows x 64 columns of C, lane l the columns 8 l ... 8 l + 7.
// Per 8 k's the lanes load one pack each of 8 rows of A, twice, and 8 packs of B; a subgroupShuffle by a literal hands A's values around.
// Products go in sub-tiles of 8 rows x 4 columns, which fit the registers. Each sum of C is one f32 over k ascending.
// Columns of C from n to the next multiple of 8 are its padding, and are overwritten. Loads beyond an operand may give anything: rows and
// columns that C does not have are not stored, and what stands at p.k and beyond is read as 0.
// Needs FORM (the value of kGemmNt ...), A and C: dtypes; BIAS, SCALES: operands present.
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_shader_16bit_storage : require
#include "core/abi/gemm.h"
#include "shaders/common/element.glsl"
#include "shaders/common/octet.glsl"

layout(local_size_x = 8) in;
layout(constant_id = 0) const uint kAccumulate = 0u;
layout(constant_id = 1) const uint kTail = 0u;  // p.k % 8; form nt has none
layout(push_constant) uniform Parameters { Gemm p; };
layout(binding = 0, TEXEL_FORMAT(A)) uniform readonly uimageBuffer a_texels;
layout(binding = 1, TEXEL_FORMAT(A)) uniform readonly uimageBuffer b_texels;
#ifdef BIAS
layout(binding = 2) readonly buffer Bias { ELEMENT(C) bias[]; };
#endif
#ifdef SCALES
layout(binding = 3) readonly buffer ScaleA { float scale_a; };
layout(binding = 4) readonly buffer ScaleB { float scale_b; };
#endif
layout(binding = 5) buffer COut { uvec4 c[]; };

#if FORM == 2  // loaded[h] of lane l: k = 4 h + l / 2, rows 8 (l % 2) ... + 7; broadcast: rows[k] holds 8 rows
#define A_AT(k0, h) ((k0 + 4u * h + lane / 2u) * lda + m0 / 8u + lane % 2u)
#define A_KEPT(k0, h) kept(k0 + 4u * h + lane / 2u, 8u)
#define BROADCAST(k, r0) rows[k] = SHUFFLE(loaded[(k) / 4], uint((k) % 4 * 2 + r0 / 8));
#define A_VALUE(r, k) AT(rows[k], r)
#else  // loaded[h] of lane l: row 8 h + l, 8 k's; broadcast: rows[r] holds 8 k's
#define A_AT(k0, h) ((m0 + 8u * h + lane) * lda + k0 / 8u)
#define A_KEPT(k0, h) kept(k0, 1u)
#define BROADCAST(r, r0) rows[r] = SHUFFLE(loaded[r0 / 8], uint(r));
#define A_VALUE(r, k) AT(rows[r], k)
#endif

#if FORM == 0  // b[j]: column j, 8 k's
#define LOAD_B(j) b[j] = LOAD(A, b_texels, (n0 + uint(j)) * ldb + k0 / 8u);
#define COLUMNS_low(k) vec4(AT(b[0], k), AT(b[1], k), AT(b[2], k), AT(b[3], k))
#define COLUMNS_high(k) vec4(AT(b[4], k), AT(b[5], k), AT(b[6], k), AT(b[7], k))
#else  // b[k]: 8 columns
#define LOAD_B(k) b[k] = first_elements(LOAD(A, b_texels, (k0 + uint(k)) * ldb + n0 / 8u), kept(k0 + uint(k), 8u));
#define COLUMNS_low(k) b[k].low
#define COLUMNS_high(k) b[k].high
#endif

#define ZERO(r, r0) sums[r0 + r] = splat(0.0);
#define MULTIPLY_ADD(r, k, r0, half) sums[r0 + r].half += A_VALUE(r, k) * columns;
#define STEP(k, r0, half)                   \
  {                                         \
    const vec4 columns = COLUMNS_##half(k); \
    EACH8_3(MULTIPLY_ADD, k, r0, half)      \
  }
#define ROWS(r0)              \
  EACH8_1(BROADCAST, r0)      \
  EACH8_2(STEP, r0, low)      \
  EACH8_2(STEP, r0, high)
#define STORE_ROW(r, r0) store(m0 + uint(r0 + r), n0, sums[r0 + r]);

// Elements of a pack that stand before p.k: its first one is at k, and each k has `apart` of them.
uint kept(uint k, uint apart) { return kTail == 0u ? 8u : k < p.k ? (p.k - k) * apart : 0u; }

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
  if (kAccumulate == 1u) sum = add(LOAD_BACK(C, c, at), sum);
  STORE(C, c, at, sum);
}

void main() {
  const uint lane = gl_SubgroupInvocationID, m0 = gl_WorkGroupID.x * 16u, n0 = gl_WorkGroupID.y * 64u + lane * 8u;
  const uint lda = p.lda / 8u, ldb = p.ldb / 8u;
  Pack sums[16];
  EACH8_1(ZERO, 0)
  EACH8_1(ZERO, 8)
  for (uint k0 = 0u; k0 < p.k; k0 += 8u) {
    Pack loaded[2], rows[8], b[8];
    loaded[0] = first_elements(LOAD(A, a_texels, A_AT(k0, 0u)), A_KEPT(k0, 0u));
    loaded[1] = first_elements(LOAD(A, a_texels, A_AT(k0, 1u)), A_KEPT(k0, 1u));
    EACH8(LOAD_B)
    ROWS(0)
    ROWS(8)
  }
  EACH8_1(STORE_ROW, 0)
  EACH8_1(STORE_ROW, 8)
}
