// adamw_8bit: see core/abi/adamw_8bit.h. 8 lanes a block of 128 columns; a lane takes 4 elements at a time, 32 apart, and keeps their moments
// until the block's largest ones are known. No sums.
// reads gradient (rows, columns), update; updates p, m, v (rows, columns), their scales (rows, blocks) and master. Operands of any size.
//! variant bf16 u32 bf16 e4m3 u8 e5m3 u8 - : -DG=bf16
//! variant bf16 u32 bf16 e4m3 u8 e5m3 u8 f32 : -DG=bf16 -DMASTER
//! variant f32 u32 bf16 e4m3 u8 e5m3 u8 - : -DG=f32
//! variant f32 u32 bf16 e4m3 u8 e5m3 u8 f32 : -DG=f32 -DMASTER
//! subgroups 8 64
//! iterations 300
//! grid std::min<uint64_t>(divide_up(p.rows * state_blocks(p.columns), 8), 32768), divide_up(p.rows * state_blocks(p.columns), 8 * 32768)
#version 460
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_shader_8bit_storage : require
#include "core/abi/adamw_8bit.h"
#include "core/abi/adamw_corrections.h"
#include "core/abi/step_scalars.h"
#include "shaders/common/lanes.glsl"
#include "shaders/common/quad.glsl"
#include "shaders/common/update_words.glsl"

layout(push_constant) uniform Parameters { Adamw8bit p; };
layout(binding = 0, QUAD_FORMAT(G)) uniform readonly QUAD_IMAGE(G) gradient;
layout(binding = 2, QUAD_FORMAT(bf16)) uniform QUAD_IMAGE(bf16) parameter;
layout(binding = 3, r32ui) uniform uimageBuffer first;
layout(binding = 4) buffer FirstScale { uint8_t first_scale[]; };
layout(binding = 5, r32ui) uniform uimageBuffer second;
layout(binding = 6) buffer SecondScale { uint8_t second_scale[]; };
#ifdef MASTER
layout(binding = 7, rgba32f) uniform imageBuffer master;
#endif

UpdateScalars update;

struct Moments {
  vec4 m, v;
};

// quad i, where m_scale and v_scale are 2^-k of its block
Moments next(uint i, float m_scale, float v_scale) {
  precise vec4 g = QUAD_LOAD(G, gradient, i) * update.coefficient;
  const uint a = imageLoad(first, int(i)).x, b = imageLoad(second, int(i)).x;
  Moments x;
#define NEXT(e)                                                                                                              \
  x.m[e] = next_moment(p.beta1, p.one_minus_beta1, f32_from_e4m3(a >> 8 * e & 0xffu) * m_scale, g[e]);                      \
  x.v[e] = next_second_moment(p.beta2, p.one_minus_beta2, f32_from_e5m3(b >> 8 * e & 0xffu) * v_scale, g[e]);
  NEXT(0) NEXT(1) NEXT(2) NEXT(3)
  return x;
}

uint largest_bits(vec4 x) {
  const uvec4 bits = floatBitsToUint(x) & 0x7fffffffu;
  return max(max(bits.x, bits.y), max(bits.z, bits.w));
}

uvec4 words_of(StoredBlock at, uint stream) {
  const PhiloxWords w = philox(update.seed_low, update.seed_high, at.block, at.tensor, update.step, stream);
  return uvec4(w.word[0], w.word[1], w.word[2], w.word[3]);
}

void update_parameter(uint i, StoredBlock at, Moments x) {
#ifdef MASTER
  precise vec4 w = imageLoad(master, int(i));
#else
  precise vec4 w = QUAD_LOAD(bf16, parameter, i);
#endif
  w = w - update.learning_rate * p.decay * w;
  precise vec4 denominator = sqrt(x.v) / update.correction2_root + p.epsilon;
  w = w - update.learning_rate * (x.m / update.correction1) / denominator;
#ifdef MASTER
  imageStore(master, int(i), w);
  QUAD_STORE(bf16, parameter, i, w);
#else
  QUAD_STORE_STOCHASTIC(bf16, parameter, i, w, words_of(at, 0u));
#endif
}

// m_k and v_k: the exponents of the block's scales
void store(uint i, Moments x, int m_k, int v_k) {
  const StoredBlock at = stored_block(p.segments, first_block(p.segments, update.rank) + i);
  update_parameter(i, at, x);
  const uvec4 a = words_of(at, 1u), b = words_of(at, 2u);
  uint m = 0u, v = 0u;
#define CODE(e)                                                       \
  m |= e4m3_from_f32_stochastic(x.m[e], m_k, a[e]) << 8 * e;          \
  v |= e5m3_from_f32_stochastic(x.v[e], v_k, b[e]) << 8 * e;
  CODE(0) CODE(1) CODE(2) CODE(3)
  imageStore(first, int(i), uvec4(m));
  imageStore(second, int(i), uvec4(v));
}

void work() {
  const uint blocks = state_blocks(p.columns), block = (gl_WorkGroupID.y * gl_NumWorkGroups.x + gl_WorkGroupID.x) * 8u + group();
  if (block >= p.rows * blocks) return;
  const uint row = block / blocks, column = block % blocks * kStateBlock;
  update = words_of_update(p.by_segment, p.segments, first_block(p.segments, update_words[8]) + row * p.columns / 4u);
  if (update.skipped != 0u) return;
  const uint quads = min(kStateBlock, p.columns - column) / 4u, base = (row * p.columns + column) / 4u + lane();
  const float m_scale = state_scale(uint(first_scale[block])), v_scale = state_scale(uint(second_scale[block]));
  const Moments none = Moments(vec4(0.0), vec4(0.0));
#define PRESENT(t) (lane() + 8u * t < quads)
#define LOAD_NEXT(t) PRESENT(t) ? next(base + 8u * t, m_scale, v_scale) : none
  const Moments x0 = LOAD_NEXT(0u), x1 = LOAD_NEXT(1u), x2 = LOAD_NEXT(2u), x3 = LOAD_NEXT(3u);
#define LARGEST(part) \
  max_lanes(max(max(largest_bits(x0.part), largest_bits(x1.part)), max(largest_bits(x2.part), largest_bits(x3.part))))
  const int m_k = scale_exponent(LARGEST(m)), v_k = e5m3_scale_exponent(LARGEST(v));
  if (lane() == 0u) {
    first_scale[block] = uint8_t(scale_byte(m_k));
    second_scale[block] = uint8_t(scale_byte(v_k));
  }
#define STORE_NEXT(t, x) if (PRESENT(t)) store(base + 8u * t, x, m_k, v_k);
  STORE_NEXT(0u, x0) STORE_NEXT(1u, x1) STORE_NEXT(2u, x2) STORE_NEXT(3u, x3)
}
