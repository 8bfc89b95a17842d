// lora_expand_weight_gradient: see core/abi/lora_expand_weight_gradient.h. A workgroup makes 8 rows x 8 columns of g, an
// invocation one value, from tiles of 64 rows of dy and t in shared memory. Parts begin at multiples of 8, so that a
// workgroup's rows are one part's.
// reads dy (rows, ldc), t (rows, count * rank); updates g (rows of b, rank). Products are added in the order of rows.
//! variant f32 f32 f32 : -DT=f32 -DG=f32
//! variant bf16 bf16 bf16 : -DT=bf16 -DG=bf16
//! variant bf16 bf16 f32 : -DT=bf16 -DG=f32
//! iterations p.rows + p.rows / 64 * 20ull + 80
//! grid p.rank / 8, std::min(p.rows_of_b / 8, 32768u), divide_up(p.rows_of_b / 8, 32768)
#version 460
#extension GL_GOOGLE_include_directive : require
#include "core/abi/lora_expand_weight_gradient.h"
#include "shaders/common/element.glsl"

layout(local_size_x = 8, local_size_y = 8) in;
layout(push_constant) uniform Parameters { LoraExpandWeightGradient p; };
layout(binding = 0) readonly buffer Dy { ELEMENT(T) dy[]; };
layout(binding = 1) readonly buffer T_in { ELEMENT(T) t[]; };
layout(binding = 2) buffer G_out { ELEMENT(G) g[]; };
shared float tile_dy[64][9], tile_t[64][9];

void main() {
  const uint x = gl_LocalInvocationID.x, y = gl_LocalInvocationID.y;
  const uint k = gl_WorkGroupID.x * 8u, first = (gl_WorkGroupID.z * 32768u + gl_WorkGroupID.y) * 8u;
  if (first >= p.rows_of_b) return;  // the whole workgroup
  const LoraPlace place = lora_place_of_row(p.parts, first);
  const uint width = p.parts.count * p.rank, at = place.part * p.rank + k;
  precise float sum = 0.0;
  for (uint r0 = 0u; r0 < p.rows; r0 += 64u) {
    const uint count = min(64u, p.rows - r0);
    for (uint i = 0u; i < 8u; ++i) {
      const uint line = y + 8u * i;
      const bool has = line < count;
      tile_dy[line][x] = has ? FROM_ELEMENT(T, dy[(r0 + line) * p.ldc + place.column + x]) : 0.0;
      tile_t[line][x] = has ? FROM_ELEMENT(T, t[(r0 + line) * width + at + x]) : 0.0;
    }
    barrier();
    for (uint r = 0u; r < count; ++r) sum += tile_dy[r][y] * tile_t[r][x];
    barrier();
  }
  const uint out_at = (first + y) * p.rank + k + x;
  precise const float value = FROM_ELEMENT(G, g[out_at]) + p.scale * sum;
  g[out_at] = TO_ELEMENT(G, value);
}
