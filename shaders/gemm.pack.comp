// gemm, the pass before gemm.packed.comp: see core/abi/gemm.h and shaders/common/gemm_packed.glsl.
// reads a, b; writes the scratch. A lane copies 8 rows or columns by 8 k's.
//! variant f32 f32 ? ? ? ? : -DT=f32 -DP=f32
//! variant bf16 bf16 ? ? ? ? : -DT=bf16 -DP=bf16
//! variant e4m3 e4m3 ? ? ? ? : -DT=e4m3 -DP=bf16
//! subgroups 8
//! pass pack
//! specialize 0 p.form
//! grid divide_up(p.k, 8), divide_up(p.m, 64) + divide_up(p.n, 64)
#version 460
#extension GL_GOOGLE_include_directive : require
#include "shaders/common/gemm_packed.glsl"

layout(constant_id = 0) const uint kForm = 0u;
layout(binding = 0, TEXEL_FORMAT(T)) uniform readonly uimageBuffer a;
layout(binding = 1, TEXEL_FORMAT(T)) uniform readonly uimageBuffer b;
layout(binding = 6) writeonly buffer Packed { WIDE(P) packed[]; };

#define LOAD_ROW(j, x, ld) v[j] = without_tail(LOAD(T, x, (octet * 8u + uint(j)) * (ld / 8u) + k0 / 8u), k0 / 8u, p.k);
#define LOAD_COLUMN(j, x, ld) \
  if (k0 + uint(j) < p.k) v[j] = LOAD(T, x, (k0 + uint(j)) * (ld / 8u) + octet);
#define ZERO(j) v[j] = splat(0.0);
#define TRANSPOSED(k) \
  Pack(vec4(AT(v[0], k), AT(v[1], k), AT(v[2], k), AT(v[3], k)), vec4(AT(v[4], k), AT(v[5], k), AT(v[6], k), AT(v[7], k)))
#define STORE_ROW(k, at) STORE_WIDE(P, packed, at(octet, k0 + uint(k)), TRANSPOSED(k));
#define STORE_COLUMN(k, at) STORE_WIDE(P, packed, at(octet, k0 + uint(k)), v[k]);
#define PACK(x, ld, k_major, at) \
  if (k_major) {                 \
    EACH8(ZERO)                  \
    EACH8_2(LOAD_COLUMN, x, ld)  \
    EACH8_1(STORE_COLUMN, at)    \
  } else {                       \
    EACH8_2(LOAD_ROW, x, ld)     \
    EACH8_1(STORE_ROW, at)       \
  }

void main() {
  const uint k0 = gl_WorkGroupID.x * 8u, block = gl_WorkGroupID.y, lane = gl_SubgroupInvocationID;
  Pack v[8];
  if (block < blocks(p.m)) {
    const uint octet = block * 8u + lane;
    PACK(a, p.lda, kForm == kGemmTn, packed_a_at)
  } else {
    const uint octet = (block - blocks(p.m)) * 8u + lane;
    PACK(b, p.ldb, kForm != kGemmNt, packed_b_at)
  }
}
