// swiglu_backward: see core/abi/swiglu_backward.h. 8 lanes take 256 columns of a row; no sums.
// reads dy (rows, columns), x (rows, 2 columns); writes dx (rows, 2 columns) and raises amax (64).
//! variant f32 f32 f32 - : -DT=f32
//! variant f32 f32 f32 u32 : -DT=f32 -DAMAX
//! variant bf16 bf16 bf16 - : -DT=bf16
//! variant bf16 bf16 bf16 u32 : -DT=bf16 -DAMAX
//! subgroups 8 64
//! iterations 5
//! grid divide_up(p.rows, 8), divide_up(p.columns, 256)
#version 460
#extension GL_GOOGLE_include_directive : require
#include "core/abi/swiglu_backward.h"
#include "shaders/common/lanes.glsl"
#include "shaders/common/pack.glsl"
#include "shaders/common/swiglu.glsl"

layout(push_constant) uniform Parameters { SwigluBackward p; };
layout(binding = 0, rgba32ui) uniform readonly uimageBuffer dy;
layout(binding = 1, rgba32ui) uniform readonly uimageBuffer x;
layout(binding = 2) writeonly buffer Dx { uvec4 dx[]; };
AMAX_OPERAND(3)

void work() {
  const uint row = gl_WorkGroupID.x * 8u + group(), packs = p.columns / 8u;
  uint largest = 0u;
  if (row < p.rows) {
    for (uint u = 0u; u < 4u; ++u) {
      const uint i = gl_WorkGroupID.y * 32u + u * 8u + lane();
      if (i >= packs) break;
      const uint gate_at = row * 2u * packs + i, up_at = gate_at + packs;
      const Pack d = LOAD(T, dy, row * packs + i), gate = LOAD(T, x, gate_at), up = LOAD(T, x, up_at);
      Pack dgate, dup;
      differentiate(d, gate, up, dgate, dup);
      STORE_RAISING(T, dx, gate_at, dgate, largest);
      STORE_RAISING(T, dx, up_at, dup, largest);
    }
  }
  raise_amax(largest);
}
