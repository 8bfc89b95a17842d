// lora_expand: see core/abi/lora_expand.h. A workgroup makes 8 rows x 64 columns, an invocation a column.
// reads t (rows, count * rank), b (rows of b, rank); writes c (rows, ldc). Products are added in the order of k.
//! variant f32 f32 f32 : -DT=f32
//! variant bf16 bf16 bf16 : -DT=bf16
//! iterations p.rank * 9ull + 30
//! grid divide_up(p.ldc, 64), std::min((p.rows + 7) / 8, 32768u), divide_up(divide_up(p.rows, 8), 32768)
#version 460
#extension GL_GOOGLE_include_directive : require
#include "core/abi/lora_expand.h"
#include "shaders/common/element.glsl"

layout(local_size_x = 64) in;
layout(push_constant) uniform Parameters { LoraExpand p; };
layout(binding = 0) readonly buffer T_in { ELEMENT(T) t[]; };
layout(binding = 1) readonly buffer B_in { ELEMENT(T) b[]; };
layout(binding = 2) writeonly buffer C_out { ELEMENT(T) c[]; };

void main() {
  const uint column = gl_WorkGroupID.x * 64u + gl_LocalInvocationID.x;
  const uint first = (gl_WorkGroupID.z * 32768u + gl_WorkGroupID.y) * 8u;
  if (column >= p.ldc || first >= p.rows) return;
  const LoraPlace place = lora_place_of_column(p.parts, column);
  const uint width = p.parts.count * p.rank, at = place.part * p.rank;
  const uint rank = place.part < p.parts.count ? p.rank : 0u;
  precise float sums[8];
  for (uint i = 0u; i < 8u; ++i) sums[i] = 0.0;
  for (uint k = 0u; k < rank; ++k) {
    const float x = FROM_ELEMENT(T, b[place.row * p.rank + k]);
    for (uint i = 0u; i < 8u; ++i) {
      const uint row = min(first + i, p.rows - 1u);
      sums[i] += FROM_ELEMENT(T, t[row * width + at + k]) * x;
    }
  }
  for (uint i = 0u; i < 8u && first + i < p.rows; ++i) {
    precise const float scaled = p.scale * sums[i];
    c[(first + i) * p.ldc + column] = TO_ELEMENT(T, scaled);
  }
}
