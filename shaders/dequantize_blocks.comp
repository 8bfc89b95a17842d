// dequantize_blocks: see core/abi/dequantize_blocks.h. One invocation 4 elements.
// reads codes, scales and the counter; writes x (rows, columns). Codes of any size.
//! variant e4m3 u8 - f32 : -DT=f32
//! variant e4m3 u8 - bf16 : -DT=bf16
//! variant e4m3 u8 i32 f32 : -DT=f32 -DCOUNTED
//! variant e4m3 u8 i32 bf16 : -DT=bf16 -DCOUNTED
//! grid std::min<uint64_t>(divide_up(uint64_t(p.rows) * p.columns, 256), 32768), divide_up(uint64_t(p.rows) * p.columns, 256 * 32768)
#version 460
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_shader_8bit_storage : require
#include "core/abi/dequantize_blocks.h"
#include "shaders/common/quad.glsl"

layout(local_size_x = 64) in;
layout(push_constant) uniform Parameters { DequantizeBlocks p; };
layout(binding = 0, r32ui) uniform readonly uimageBuffer codes;
layout(binding = 1) readonly buffer Scales { uint8_t scales[]; };
#ifdef COUNTED
layout(binding = 2) readonly buffer Counter { int counter[]; };
uint first_row() { return ((uint(counter[0] - 1) & 1u) * p.micro_steps + uint(counter[1])) * p.rows; }
#else
uint first_row() { return 0u; }
#endif
layout(binding = 3) writeonly buffer X { QUAD_CODES(T) x[]; };

void main() {
  const uint i = (gl_WorkGroupID.y * gl_NumWorkGroups.x + gl_WorkGroupID.x) * 64u + gl_LocalInvocationID.x, quads = p.columns / 4u;
  const uint row = i / quads, column = i % quads * 4u;
  if (row >= p.rows) return;
  const uint from = first_row(), code = imageLoad(codes, int(from * quads + i)).x;
  const float scale = state_scale(uint(scales[(from + row) * state_blocks(p.columns) + column / kStateBlock]));
  precise const vec4 v = scale * vec4(f32_from_e4m3(code & 0xffu), f32_from_e4m3(code >> 8 & 0xffu), f32_from_e4m3(code >> 16 & 0xffu),
                                      f32_from_e4m3(code >> 24));
  QUAD_WRITE(T, x, i, v);
}
