// What the two halves of the attention gradient share, for subgroups of 8. Needs T, CHUNKS: of 64 elements of head_dim.
#extension GL_GOOGLE_include_directive : require
#include "core/abi/attention_backward.h"
#include "shaders/common/octet.glsl"

layout(local_size_x = 8) in;
layout(constant_id = 0) const uint kPacks = 8u;  // p.head_dim / 8
layout(push_constant) uniform Parameters { AttentionBackward p; };
layout(binding = 0, rgba32ui) uniform readonly uimageBuffer qkv;
layout(binding = 1) readonly buffer Positions { int positions[]; };
layout(binding = 2, rgba32ui) uniform readonly uimageBuffer dout;
layout(binding = 3) readonly buffer Lse { float lse[]; };
layout(binding = 4) readonly buffer Delta { float delta[]; };
layout(binding = 5) writeonly buffer Dqkv { uvec4 dqkv[]; };
#include "shaders/common/tile.glsl"

#define BROADCAST_ROW(r) rows[r] = SHUFFLE(own, uint(r));
#define BROADCAST_SCORE(r, scores) rows[r] = SHUFFLE(scores[r], l);
#define ZERO_ROW(r, sums) sums[r] = splat(0.0);
#if CHUNKS == 1
#define EACH_CHUNK_1(M, x) EACH8_2(M, x, 0)
#else
#define EACH_CHUNK_1(M, x) EACH8_2(M, x, 0) EACH8_2(M, x, 1)
#endif
#define ZERO_CHUNK(r, sums, c) sums[c][r] = splat(0.0);

// turn 0 makes all 8 rows of the tile, turn 1 + r row r alone
bool stored(uint r, uint turn) {
  return gl_WorkGroupID.x * 8u + r < p.sequence_length && (turn == 0u || turn == r + 1u);
}
