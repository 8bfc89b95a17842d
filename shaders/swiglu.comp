// swiglu: see core/abi/swiglu.h. 8 lanes take 256 columns of a row; no sums.
// reads x (rows, 2 columns); writes y (rows, columns) and raises amax (64).
//! variant f32 f32 - : -DT=f32
//! variant f32 f32 u32 : -DT=f32 -DAMAX
//! variant bf16 bf16 - : -DT=bf16
//! variant bf16 bf16 u32 : -DT=bf16 -DAMAX
//! subgroups 8 64
//! iterations 5
//! grid divide_up(p.rows, 8), divide_up(p.columns, 256)
#version 460
#extension GL_GOOGLE_include_directive : require
#include "core/abi/swiglu.h"
#include "shaders/common/lanes.glsl"
#include "shaders/common/pack.glsl"
#include "shaders/common/swiglu.glsl"

layout(push_constant) uniform Parameters { Swiglu p; };
layout(binding = 0, rgba32ui) uniform readonly uimageBuffer x;
layout(binding = 1) writeonly buffer Y { uvec4 y[]; };
AMAX_OPERAND(2)

void work() {
  const uint row = gl_WorkGroupID.x * 8u + group(), packs = p.columns / 8u;
  uint largest = 0u;
  if (row < p.rows) {
    for (uint u = 0u; u < 4u; ++u) {
      const uint i = gl_WorkGroupID.y * 32u + u * 8u + lane();
      if (i >= packs) break;
      const Pack gate = LOAD(T, x, row * 2u * packs + i), up = LOAD(T, x, (row * 2u + 1u) * packs + i);
      const Pack v = swiglu(gate, up);
      STORE_RAISING(T, y, row * packs + i, v, largest);
    }
  }
  raise_amax(largest);
}
