// embedding: see core/abi/embedding.h. 8 lanes a row, a pack of 8 columns each.
// reads tokens (rows), table (vocabulary, columns); writes y (rows, columns).
//! variant i32 f32 f32 : -DT=f32
//! variant i32 bf16 bf16 : -DT=bf16
//! subgroups 8 64
//! iterations p.columns / 64 + 2
//! grid divide_up(p.rows, 8)
#version 460
#extension GL_GOOGLE_include_directive : require
#include "core/abi/embedding.h"
#include "shaders/common/lanes.glsl"
#include "shaders/common/pack.glsl"

layout(push_constant) uniform Parameters { Embedding p; };
layout(binding = 0) readonly buffer Tokens { int tokens[]; };
layout(binding = 1, rgba32ui) uniform readonly uimageBuffer table;
layout(binding = 2) writeonly buffer Y { uvec4 y[]; };

void work() {
  const uint row = gl_WorkGroupID.x * 8u + group(), packs = p.columns / 8u;
  if (row >= p.rows) return;
  const uint token = uint(tokens[row]);
  const vec4 nan = vec4(bits_float(0x7fc00000u));
  for (uint i = lane(); i < packs; i += 8u) {
    Pack v = Pack(nan, nan);
    if (token < p.vocabulary) v = LOAD(T, table, token * packs + i);
    STORE(T, y, row * packs + i, v);
  }
}
