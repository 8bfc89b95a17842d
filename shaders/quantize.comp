// quantize: see core/abi/quantize.h. 8 lanes take a tile of 16 rows and 16 columns; q and the transpose come from one read.
// reads x (rows, columns), amax (64); writes q (rows, columns), qt (columns, rows), scale (1). No sums.
// Lane l holds rows l and l + 8; shuffles turn them into columns l and l + 8, so that every access has 16 bytes.
//! variant bf16 u32 e4m3 e4m3 f32 : -DT=bf16 -DQ -DQT
//! variant bf16 u32 e4m3 - f32 : -DT=bf16 -DQ
//! variant bf16 u32 - e4m3 f32 : -DT=bf16 -DQT
//! grid (p.columns + 127) / 128, (p.rows / 16) < 32768 ? (p.rows / 16) : 32768, (p.rows / 16 + 32767) / 32768
#version 460
#extension GL_GOOGLE_include_directive : require
#include "core/abi/quantize.h"
#include "shaders/common/lanes.glsl"
#include "shaders/common/pack.glsl"
#include "shaders/common/e4m3.glsl"

layout(push_constant) uniform Parameters { Quantize p; };
layout(binding = 0, rgba32ui) uniform readonly uimageBuffer x;
layout(binding = 1) readonly buffer Amax { uint amax[]; };
#ifdef Q
layout(binding = 2) writeonly buffer Codes { uvec4 q[]; };
#endif
#ifdef QT
layout(binding = 3) writeonly buffer Transposed { uvec4 qt[]; };
#endif
layout(binding = 4) writeonly buffer Scale { float scale_of_x; };

// codes of 8 columns of a row; a poisoned tensor is all NaN
uvec2 codes(uint row, uint column, uint largest) {
  const Pack v = LOAD(T, x, (row * p.columns + column) / 8u);
  const int k = scale_exponent(largest);
  const uvec2 c = uvec2(bytes_of(e4m3_codes(v.low, k)), bytes_of(e4m3_codes(v.high, k)));
  return is_poisoned(largest) ? uvec2(0x7f7f7f7fu) : c;
}

void main() {
  const uint largest = amax[0], column = (gl_WorkGroupID.x * 8u + group()) * 16u;
  const uint first = (gl_WorkGroupID.z * gl_NumWorkGroups.y + gl_WorkGroupID.y) * 16u;
  if (gl_WorkGroupID == uvec3(0u) && gl_LocalInvocationID.x == 0u)
    scale_of_x = is_poisoned(largest) ? bits_float(0x7fc00000u) : power_of_two(-scale_exponent(largest));
  if (column >= p.columns || first >= p.rows) return;

  const uint row = first + lane();
  const uvec2 a = codes(row, column, largest), b = codes(row, column + 8u, largest);
  const uvec2 c = codes(row + 8u, column, largest), d = codes(row + 8u, column + 8u, largest);
#ifdef Q
  q[(row * p.columns + column) / 16u] = uvec4(a, b);
  q[((row + 8u) * p.columns + column) / 16u] = uvec4(c, d);
#endif
#ifdef QT
  qt[((column + lane()) * p.rows + first) / 16u] = uvec4(transpose_bytes(a), transpose_bytes(c));
  qt[((column + 8u + lane()) * p.rows + first) / 16u] = uvec4(transpose_bytes(b), transpose_bytes(d));
#endif
}
