// rope: see core/abi/rope.h. 8 lanes a head; a lane takes a pair of packs of 4 elements, head_dim / 2 apart.
// reads positions (rows), table (table_rows, head_dim / 2, 2); updates x (rows, heads, head_dim): its q and k heads.
//! variant i32 f32 f32 : -DT=f32
//! variant i32 f32 bf16 : -DT=bf16
//! subgroups 8 64
//! iterations p.head_dim / 64 + 2
//! grid divide_up(p.q_heads + p.kv_heads, 8), std::min(p.rows, 65535u), divide_up(p.rows, 65535)
#version 460
#extension GL_GOOGLE_include_directive : require
#include "core/abi/numeric.h"
#include "core/abi/rope.h"
#include "shaders/common/aliased.glsl"
#include "shaders/common/lanes.glsl"
#include "shaders/common/quad.glsl"

layout(push_constant) uniform Parameters { Rope p; };
layout(binding = 0) readonly buffer Positions { int positions[]; };
layout(binding = 1, rgba32f) uniform readonly imageBuffer table;  // two (cos, sin) a texel
ALIASED layout(binding = 18, QUAD_FORMAT(T)) uniform QUAD_IMAGE(T) x;
ALIASED layout(binding = 2) writeonly buffer Rotated { QUAD_CODES(T) rotated[]; };

void work() {
  const uint row = gl_WorkGroupID.z * 65535u + gl_WorkGroupID.y, head = gl_WorkGroupID.x * 8u + group();
  if (row >= p.rows || head >= p.q_heads + p.kv_heads) return;
  const uint quads = p.head_dim / 8u;  // in half a head
  const uint first = (row * (p.q_heads + 2u * p.kv_heads) + head) * 2u * quads, angle = uint(positions[row]) * 2u * quads;
  for (uint i = lane(); i < quads; i += 8u) {
    const vec4 even = imageLoad(table, int(angle + 2u * i)), odd = imageLoad(table, int(angle + 2u * i + 1u));
    const vec4 cosine = vec4(even.x, even.z, odd.x, odd.z);
    const vec4 sine = vec4(even.y, even.w, odd.y, odd.w) * (p.inverse == 0u ? 1.0 : -1.0);
    const vec4 a = QUAD_LOAD(T, x, first + i), b = QUAD_LOAD(T, x, first + quads + i);
    precise vec4 rotated_a = a * cosine - b * sine;
    precise vec4 rotated_b = b * cosine + a * sine;
    QUAD_WRITE(T, rotated, first + i, rotated_a);
    QUAD_WRITE(T, rotated, first + quads + i, rotated_b);
  }
}
