// quantize_blocks: see core/abi/quantize_blocks.h. 8 lanes a block of 128 columns; a lane takes 4 elements at a time, 32 apart. No sums.
// reads x (rows, columns); writes codes (rows, columns), scales (rows, blocks).
//! variant f32 e4m3 u8 : -DT=f32
//! variant bf16 e4m3 u8 : -DT=bf16
//! subgroups 8 64
//! iterations 300
//! grid std::min<uint64_t>(divide_up(uint64_t(p.rows) * state_blocks(p.columns), 8), 32768), divide_up(uint64_t(p.rows) * state_blocks(p.columns), 8 * 32768)
#version 460
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_shader_8bit_storage : require
#include "core/abi/quantize_blocks.h"
#include "shaders/common/lanes.glsl"
#include "shaders/common/quad.glsl"
#include "shaders/common/e4m3.glsl"

layout(push_constant) uniform Parameters { QuantizeBlocks p; };
layout(binding = 0, QUAD_FORMAT(T)) uniform readonly QUAD_IMAGE(T) x;
layout(binding = 1) writeonly buffer Codes { uint codes[]; };
layout(binding = 2) writeonly buffer Scales { uint8_t scales[]; };

uint largest_bits(vec4 v) {
  const uvec4 bits = floatBitsToUint(v) & 0x7fffffffu;
  return max(max(bits.x, bits.y), max(bits.z, bits.w));
}

void work() {
  const uint blocks = state_blocks(p.columns), block = (gl_WorkGroupID.y * gl_NumWorkGroups.x + gl_WorkGroupID.x) * 8u + group();
  if (block >= p.rows * blocks) return;
  const uint column = block % blocks * kStateBlock, first = (block / blocks * p.columns + column) / 4u;
  const uint quads = min(kStateBlock, p.columns - column) / 4u;
#define PRESENT(t) (lane() + 8u * t < quads)
#define QUAD(t) (PRESENT(t) ? QUAD_LOAD(T, x, first + lane() + 8u * t) : vec4(0.0))
  const vec4 v0 = QUAD(0u), v1 = QUAD(1u), v2 = QUAD(2u), v3 = QUAD(3u);
  const uint largest = max_lanes(max(max(largest_bits(v0), largest_bits(v1)), max(largest_bits(v2), largest_bits(v3))));
  const int k = scale_exponent(largest);
  if (lane() == 0u) scales[block] = uint8_t(scale_byte(k));
  const bool poisoned = is_poisoned(largest);
#define STORE_QUAD(t, v) \
  if (PRESENT(t)) codes[first + lane() + 8u * t] = poisoned ? 0x7f7f7f7fu : bytes_of(e4m3_codes(v, k));
  STORE_QUAD(0u, v0) STORE_QUAD(1u, v1) STORE_QUAD(2u, v2) STORE_QUAD(3u, v3)
}
