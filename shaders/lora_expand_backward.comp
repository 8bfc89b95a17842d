// lora_expand_backward: see core/abi/lora_expand_backward.h. A workgroup makes 8 rows x 8 columns of dt, an invocation one
// value, from tiles of 64 columns of dy and their rows of b in shared memory.
// reads dy (rows, ldc), b (rows of b, rank); writes dt (rows, count * rank). Products are added in the order of j.
//! variant f32 f32 f32 : -DT=f32
//! variant bf16 bf16 bf16 : -DT=bf16
//! iterations p.ldc + p.ldc / 64 * 20ull + 80
//! grid p.parts.count * (p.rank / 8), std::min((p.rows + 7) / 8, 32768u), divide_up(divide_up(p.rows, 8), 32768)
#version 460
#extension GL_GOOGLE_include_directive : require
#include "core/abi/lora_expand_backward.h"
#include "shaders/common/element.glsl"

layout(local_size_x = 8, local_size_y = 8) in;
layout(push_constant) uniform Parameters { LoraExpandBackward p; };
layout(binding = 0) readonly buffer Dy { ELEMENT(T) dy[]; };
layout(binding = 1) readonly buffer B_in { ELEMENT(T) b[]; };
layout(binding = 2) writeonly buffer Dt { ELEMENT(T) dt[]; };
shared float tile_dy[8][65], tile_b[64][9];

void main() {
  const uint x = gl_LocalInvocationID.x, y = gl_LocalInvocationID.y;
  const uint first_row = (gl_WorkGroupID.z * 32768u + gl_WorkGroupID.y) * 8u;
  const uint column = gl_WorkGroupID.x * 8u, part = column / p.rank, k = column % p.rank;
  if (first_row >= p.rows) return;  // the whole workgroup
  uint row_of_b = 0u, first = 0u, columns = 0u;
  for (uint i = 0u; i < 4u; ++i) {
    if (i < part) row_of_b += p.parts.columns[i];
    if (i == part) {
      first = p.parts.first[i];
      columns = p.parts.columns[i];
    }
  }
  precise float sum = 0.0;
  for (uint j0 = 0u; j0 < columns; j0 += 64u) {
    const uint count = min(64u, columns - j0);
    for (uint i = 0u; i < 8u; ++i) {
      const uint j = x + 8u * i;
      const bool has = j < count;
      const bool has_row = has && first_row + y < p.rows;
      tile_dy[y][j] = has_row ? FROM_ELEMENT(T, dy[(first_row + y) * p.ldc + first + j0 + j]) : 0.0;
      const uint line = y + 8u * i;
      tile_b[line][x] = line < count ? FROM_ELEMENT(T, b[(row_of_b + j0 + line) * p.rank + k + x]) : 0.0;
    }
    barrier();
    for (uint j = 0u; j < count; ++j) sum += tile_dy[y][j] * tile_b[j][x];
    barrier();
  }
  if (first_row + y >= p.rows) return;
  precise const float scaled = p.scale * sum;
  dt[(first_row + y) * (p.parts.count * p.rank) + column + x] = TO_ELEMENT(T, scaled);
}
