// embedding_backward: see core/abi/embedding_backward.h. 8 lanes take 64 columns of a row; the first row of a token sums all its rows, in order.
// reads tokens (rows), dy (rows, columns); updates g (vocabulary, columns).
//! variant i32 f32 f32 : -DT=f32 -DG=f32
//! variant i32 bf16 bf16 : -DT=bf16 -DG=bf16
//! variant i32 bf16 f32 : -DT=bf16 -DG=f32
//! subgroups 8 64
//! iterations p.rows + p.rows / 4ull + 3
//! grid divide_up(p.rows, 8), divide_up(p.columns, 64)
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

// The 8 rows from `first` on that hold the token: bit r is row first + r.
uint rows_with(int token, uint first) {
  const uint r = first + lane();
  uint bits = r < p.rows && tokens[r] == token ? 1u << lane() : 0u;
  bits |= xor_lane(bits, 4u);
  bits |= xor_lane(bits, 2u);
  return bits | xor_lane(bits, 1u);
}

void work() {
  const uint row = gl_WorkGroupID.x * 8u + group(), packs = p.columns / 8u, i = gl_WorkGroupID.y * 8u + lane();
  const int token = tokens[min(row, p.rows - 1u)];
  if (row >= p.rows || uint(token) >= p.vocabulary) return;
  precise vec4 low = vec4(0.0), high = vec4(0.0);
  for (uint first = 0u; first < p.rows; first += 8u) {
    uint found = rows_with(token, first);
    if (found != 0u && first + uint(findLSB(found)) < row) return;  // the row that sums them
    for (; found != 0u; found &= found - 1u) {
      const Pack v = LOAD(T, dy, (first + uint(findLSB(found))) * packs + min(i, packs - 1u));
      low += v.low;
      high += v.high;
    }
  }
  if (i >= packs) return;
  const uint at = uint(token) * packs + i;
  const Pack old = LOAD(G, g, at);
  STORE_TEXEL(G, g, at, Pack(old.low + low, old.high + high));
}
