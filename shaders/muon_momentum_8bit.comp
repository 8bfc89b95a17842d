// muon_momentum_8bit: see core/abi/muon_momentum_8bit.h. 8 lanes a block of 128 columns; a lane takes 4 elements at a time, 32 apart, and keeps
// their momentum until the block's largest is known. No sums.
// reads gradient (any, columns), update; writes u (rows, columns); updates m and m_scale.
//! variant bf16 u32 bf16 e4m3 u8 : -DG=bf16
//! variant f32 u32 bf16 e4m3 u8 : -DG=f32
//! subgroups 8 64
//! iterations 300
//! grid std::min<uint64_t>(divide_up(p.rows * state_blocks(p.columns), 8), 32768), divide_up(p.rows * state_blocks(p.columns), 8 * 32768)
#version 460
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_shader_8bit_storage : require
#include "core/abi/muon_momentum_8bit.h"
#include "core/abi/adamw_corrections.h"
#include "shaders/common/lanes.glsl"
#include "shaders/common/quad.glsl"

layout(push_constant) uniform Parameters { MuonMomentum8bit p; };
layout(binding = 0, QUAD_FORMAT(G)) uniform readonly QUAD_IMAGE(G) gradient;
layout(binding = 1) readonly buffer Update { UpdateScalars update; };
layout(binding = 2, QUAD_FORMAT(bf16)) uniform writeonly QUAD_IMAGE(bf16) direction;
layout(binding = 3, r32ui) uniform uimageBuffer momentum;
layout(binding = 4) buffer Scale { uint8_t scale[]; };

// quad i of the stored tensor, which is quad `at` of gradient and momentum: m', and u stored
vec4 next(uint i, uint at, float unit) {
  precise vec4 g = QUAD_LOAD(G, gradient, at) * update.coefficient;
  const uint codes = imageLoad(momentum, int(at)).x;
  vec4 m, u;
#define NEXT(e)                                                                                                         \
  m[e] = next_moment(p.momentum, p.one_minus_momentum, f32_from_e4m3(codes >> 8 * e & 0xffu) * unit, g[e]);             \
  u[e] = p.nesterov != 0u ? next_moment(p.momentum, p.one_minus_momentum, m[e], g[e]) : m[e];
  NEXT(0) NEXT(1) NEXT(2) NEXT(3)
  QUAD_STORE(bf16, direction, i, u);
  return m;
}

uint largest_bits(vec4 x) {
  const uvec4 bits = floatBitsToUint(x) & 0x7fffffffu;
  return max(max(bits.x, bits.y), max(bits.z, bits.w));
}

void store(uint i, uint at, vec4 m, int k) {
  const PhiloxWords w = philox(update.seed_low, update.seed_high, i, p.tensor, update.step, 1u);
  uint codes = 0u;
  for (uint e = 0u; e < 4u; ++e) codes |= e4m3_from_f32_stochastic(m[e], k, w.word[e]) << 8u * e;
  imageStore(momentum, int(at), uvec4(codes));
}

void work() {
  const uint blocks = state_blocks(p.columns), block = (gl_WorkGroupID.y * gl_NumWorkGroups.x + gl_WorkGroupID.x) * 8u + group();
  if (block >= p.rows * blocks) return;
  const uint row = block / blocks, column = block % blocks * kStateBlock, scale_at = p.first_row * blocks + block;
  const uint quads = min(kStateBlock, p.columns - column) / 4u, base = (row * p.columns + column) / 4u + lane();
  const uint skipped_rows = p.first_row * p.columns / 4u;
  const float unit = state_scale(uint(scale[scale_at]));
#define PRESENT(t) (lane() + 8u * t < quads)
#define LOAD_NEXT(t) PRESENT(t) ? next(base + 8u * t, skipped_rows + base + 8u * t, unit) : vec4(0.0)
  const vec4 m0 = LOAD_NEXT(0u), m1 = LOAD_NEXT(1u), m2 = LOAD_NEXT(2u), m3 = LOAD_NEXT(3u);
  const int k =
      scale_exponent(max_lanes(max(max(largest_bits(m0), largest_bits(m1)), max(largest_bits(m2), largest_bits(m3)))));
  if (update.skipped != 0u) return;
  if (lane() == 0u) scale[scale_at] = uint8_t(scale_byte(k));
#define STORE_NEXT(t, m) if (PRESENT(t)) store(base + 8u * t, skipped_rows + base + 8u * t, m, k);
  STORE_NEXT(0u, m0) STORE_NEXT(1u, m1) STORE_NEXT(2u, m2) STORE_NEXT(3u, m3)
}
