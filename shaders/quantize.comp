// quantize: see core/abi/quantize.h. A workgroup a tile of 64 rows and 64 columns; q and the transpose from one read.
// reads x (rows, columns), amax (64); writes q (rows, columns), qt (columns, rows), scale (1). 8 codes are a uvec2; qt goes through shared memory.
//! variant bf16 u32 e4m3 - f32 : -DQ
//! variant bf16 u32 e4m3 e4m3 f32 : -DQ -DQT
//! variant bf16 u32 - e4m3 f32 : -DQT
//! grid (p.columns + 63) / 64, (p.rows + 63) / 64
#version 460
#extension GL_GOOGLE_include_directive : require
#define T bf16
#include "core/abi/quantize.h"
#include "shaders/common/lanes.glsl"
#include "shaders/common/pack.glsl"

layout(push_constant) uniform Parameters { Quantize p; };
layout(binding = 0, rgba32ui) uniform readonly uimageBuffer x;
layout(binding = 1) readonly buffer Amax { uint amax[]; };
#ifdef Q
layout(binding = 2) writeonly buffer Codes { uvec2 q[]; };
#endif
#ifdef QT
layout(binding = 3) writeonly buffer Transposed { uvec2 qt[]; };
shared uvec2 tile[64][9];  // 8 codes each; a ninth against bank conflicts
#endif
layout(binding = 4) writeonly buffer Scale { float scale; };

uint quad_codes(vec4 v, uint largest) {
  return quantize_e4m3(v.x, largest) | quantize_e4m3(v.y, largest) << 8 | quantize_e4m3(v.z, largest) << 16 | quantize_e4m3(v.w, largest) << 24;
}

#ifdef QT
uint tile_code(uint row, uint column) { return (tile[row][column / 8u][(column / 4u) & 1u] >> (8u * (column & 3u))) & 0xffu; }

uint column_codes(uint row, uint column) {  // rows row ... row + 3 of a column
  return tile_code(row, column) | tile_code(row + 1u, column) << 8 | tile_code(row + 2u, column) << 16 | tile_code(row + 3u, column) << 24;
}
#endif

void main() {
  const uint largest = amax[0], column0 = gl_WorkGroupID.x * 64u, row0 = gl_WorkGroupID.y * 64u, column = column0 + 8u * lane();
  for (uint r = group(); r < 64u; r += 8u) {
    const uint row = row0 + r;
    uvec2 codes = uvec2(0u);
    if (row < p.rows && column < p.columns) {
      const Pack v = LOAD(T, x, (row * p.columns + column) / 8u);
      codes = uvec2(quad_codes(v.low, largest), quad_codes(v.high, largest));
#ifdef Q
      q[(row * p.columns + column) / 8u] = codes;
#endif
    }
#ifdef QT
    tile[r][lane()] = codes;
#endif
  }
#ifdef QT
  barrier();
  const uint row = row0 + 8u * lane();
  for (uint c = group(); c < 64u; c += 8u)
    if (row < p.rows && column0 + c < p.columns)
      qt[((column0 + c) * p.rows + row) / 8u] = uvec2(column_codes(8u * lane(), c), column_codes(8u * lane() + 4u, c));
#endif
  if (gl_WorkGroupID.x == 0u && gl_WorkGroupID.y == 0u && gl_LocalInvocationID.x == 0u)
    scale = is_poisoned(largest) ? bits_float(0x7fc00000u) : power_of_two(-scale_exponent(largest));
}
