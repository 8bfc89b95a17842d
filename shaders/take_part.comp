// take_part: see core/abi/take_part.h. One invocation 4 elements.
// reads x (any); writes y (rows, columns).
//! variant f32 f32 : -DX=f32 -DY=f32
//! variant f32 bf16 : -DX=f32 -DY=bf16
//! variant bf16 bf16 : -DX=bf16 -DY=bf16
//! iterations 40
//! grid std::min<uint64_t>(divide_up(p.rows * p.columns, 4 * 64), 256), divide_up(divide_up(p.rows * p.columns, 4), 64 * 256)
#version 460
#extension GL_GOOGLE_include_directive : require
#include "core/abi/take_part.h"
#include "core/abi/numeric.h"
#include "shaders/common/quad.glsl"

layout(local_size_x = 64) in;
layout(push_constant) uniform Parameters { TakePart p; };
layout(binding = 0, QUAD_FORMAT(X)) uniform readonly QUAD_IMAGE(X) x;
layout(binding = 1, QUAD_FORMAT(Y)) uniform writeonly QUAD_IMAGE(Y) y;

void main() {
  const uint i = (gl_WorkGroupID.y * 256u + gl_WorkGroupID.x) * 64u + gl_LocalInvocationID.x;
  if (i >= p.rows * p.columns / 4u) return;
  QUAD_STORE(Y, y, i, QUAD_LOAD(X, x, p.first + i));
}
