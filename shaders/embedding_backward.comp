// embedding_backward: see core/abi/embedding_backward.h. 8 lanes a row; the first row of a token sums all its rows, in order.
// reads tokens (rows), dy (rows, columns); updates g (vocabulary, columns).
//! variant i32 f32 f32 : -DT=f32 -DG=f32
//! variant i32 bf16 bf16 : -DT=bf16 -DG=bf16
//! variant i32 bf16 f32 : -DT=bf16 -DG=f32
//! subgroups 8 64
//! grid (p.rows + 7) / 8
#version 460
#extension GL_GOOGLE_include_directive : require
#include "core/abi/embedding_backward.h"
#include "shaders/common/lanes.glsl"
#include "shaders/common/pack.glsl"
#include "shaders/common/texel.glsl"

layout(push_constant) uniform Parameters { EmbeddingBackward p; };
layout(binding = 0) readonly buffer Tokens { int tokens[]; };
layout(binding = 1, rgba32ui) uniform readonly uimageBuffer dy;
layout(binding = 2, rgba32ui) uniform uimageBuffer g;

// The first row from `from` on that holds the token, or rows. The lanes look at 8 rows at a time.
uint next_row(int token, uint from) {
  for (uint base = from; base < p.rows; base += 8u) {
    const uint r = base + lane();
    const uint found = r < p.rows && tokens[r] == token ? r : 0xffffffffu;
    const uint least = ~max_lanes(~found);
    if (least != 0xffffffffu) return least;
  }
  return p.rows;
}

void work() {
  const uint row = gl_WorkGroupID.x * 8u + group(), packs = p.columns / 8u;
  const int token = tokens[min(row, p.rows - 1u)];
  if (row >= p.rows || uint(token) >= p.vocabulary || next_row(token, 0u) != row) return;
  for (uint first = 0u; first < packs; first += 8u) {
    const uint i = first + lane();
    precise vec4 low = vec4(0.0), high = vec4(0.0);
    for (uint r = row; r < p.rows; r = next_row(token, r + 1u)) {
      const Pack v = LOAD(T, dy, r * packs + min(i, packs - 1u));
      low += v.low;
      high += v.high;
    }
    if (i < packs) {
      const uint at = uint(token) * packs + i;
      const Pack old = LOAD(G, g, at);
      STORE_TEXEL(G, g, at, Pack(old.low + low, old.high + high));
    }
  }
}
