// The body of attention.d*.comp, for subgroups of 8: one subgroup makes 8 queries of a head, over blocks of 64 keys.
// Scores: lane l has the keys 8 l ... 8 l + 7 of the block, elements of head_dim in order. Sum of the weights: a lane's blocks in order, then a
// butterfly. Values: keys in order. Both are rescaled whenever a block raises the largest score.
// Keys that a query does not see weigh 0, and 0 times NaN is NaN: a tile with NaN in it is done again, query by query, with unseen values kept out.
// Needs T, the dtype, and CHUNKS: of 64 elements of head_dim.
#extension GL_GOOGLE_include_directive : require
#include "core/abi/attention.h"
#include "shaders/common/octet.glsl"

layout(local_size_x = 8) in;
layout(constant_id = 0) const uint kPacks = 8u;  // p.head_dim / 8
layout(push_constant) uniform Parameters { Attention p; };
layout(binding = 0, rgba32ui) uniform readonly uimageBuffer qkv;
layout(binding = 1) readonly buffer Positions { int positions[]; };
layout(binding = 2) writeonly buffer Out { uvec4 out_[]; };
layout(binding = 3) writeonly buffer Lse { float lse[]; };
#include "shaders/common/tile.glsl"

const float kLowest = -1e30;

#define QUERY(r) uint(subgroupShuffle(query, r))
#define LOAD_KEY(j) b[j] = LOAD(T, qkv, k_at + (block + lane * 8u + uint(j)) * row_packs + d);
#define LOAD_VALUE(j, c) b[j] = LOAD(T, qkv, v_at + min(block + 8u * l + uint(j), last) * row_packs + 8u * uint(c) + lane);
#define BROADCAST_QUERY(r) rows[r] = SHUFFLE(own, uint(r));
#define BROADCAST_WEIGHT(r) rows[r] = SHUFFLE(scores[r], l);
#define ZERO_SCORE(r) scores[r] = splat(0.0);
#define ZERO_ROW(r)  \
  top[r] = kLowest;  \
  sum[r] = 0.0;
#define ZERO_MIXED(r, c) mixed[c][r] = splat(0.0);
#define RESCALE(r, c) mixed[c][r] = scale(mixed[c][r], old[r]);
#define WEIGH(r)                                                                                                                    \
  {                                                                                                                                 \
    const int at = int(block + 8u * lane), from = subgroupShuffle(first, uint(r)) - at, to = subgroupShuffle(query, uint(r)) - at;  \
    const Pack score = between(scale(scores[r], p.scale * kLog2E), from, to, kLowest);                                              \
    const float larger = max(top[r], max_octet(max_of(score)));                                                                     \
    old[r] = exp2_of(vec4(top[r] - larger)).x;                                                                                      \
    top[r] = larger;                                                                                                                \
    scores[r] = between(exp2_of(Pack(score.low - larger, score.high - larger)), from, to, 0.0);                                     \
    sum[r] = sum[r] * old[r] + sum_of(scores[r]);                                                                                   \
  }
#define STORE_MIXED(r, c)                                                                                                       \
  {                                                                                                                             \
    const Pack v = scale(mixed[c][r], 1.0 / sum[r]);                                                                            \
    if (8u * uint(c) + lane < kPacks) {                                                                                         \
      largest = max(largest, amax_of(v));                                                                                       \
      if (stored(uint(r), turn)) STORE(T, out_, ((row0 + t0 + uint(r)) * p.q_heads + head) * kPacks + 8u * uint(c) + lane, v);  \
    }                                                                                                                           \
  }
#define STORE_LSE(r)                                                                                                  \
  {                                                                                                                   \
    sum[r] = sum_octet(sum[r]);                                                                                       \
    if (lane == uint(r) && stored(uint(r), turn))                                                                     \
      lse[(sequence * p.q_heads + head) * p.sequence_length + t0 + uint(r)] = top[r] * 0.69314718 + log_f32(sum[r]);  \
  }

#if CHUNKS == 1
#define EACH_CHUNK(M) EACH8_1(M, 0)
#else
#define EACH_CHUNK(M) EACH8_1(M, 0) EACH8_1(M, 1)
#endif

// turn 0 makes all 8 rows, turn 1 + r row r alone
bool stored(uint r, uint turn) {
  return gl_WorkGroupID.x * 8u + r < p.sequence_length && (turn == 0u || turn == r + 1u);
}

void main() {
  const uint lane = gl_SubgroupInvocationID, t0 = gl_WorkGroupID.x * 8u, head = gl_WorkGroupID.y, sequence = gl_WorkGroupID.z;
  const uint row0 = sequence * p.sequence_length, row_packs = (p.q_heads + 2u * p.kv_heads) * kPacks;
  const uint kv_head = head / (p.q_heads / p.kv_heads), base = row0 * row_packs;
  const uint k_at = base + (p.q_heads + kv_head) * kPacks, v_at = k_at + p.kv_heads * kPacks;
  uint turns = 1u;
  for (uint turn = 0u; turn < turns; ++turn) {
    const int query = int(min(t0 + (turn == 0u ? lane : turn - 1u), p.sequence_length - 1u));  // this lane's; a row's is its lane's
    const int first = query - positions[row0 + uint(query)];
    const uint last = uint(max_octet(query));
    Pack mixed[CHUNKS][8];
    float top[8], sum[8], old[8];
    EACH8(ZERO_ROW)
    EACH_CHUNK(ZERO_MIXED)
    for (uint block = uint(min_octet(first)); block <= last; block += 64u) {
      Pack scores[8];
      EACH8(ZERO_SCORE)
      for (uint d = 0u; d < kPacks; ++d) {
        const Pack own = LOAD(T, qkv, base + uint(query) * row_packs + head * kPacks + d);
        Pack b[8], rows[8];
        EACH8(LOAD_KEY)
        EACH8(BROADCAST_QUERY)
        TIMES_COLUMNS(scores, rows, b)
      }
      EACH8(WEIGH)
      EACH_CHUNK(RESCALE)
      for (uint l = 0u; l < 8u && block + 8u * l <= last; ++l) {
        Pack b[8], rows[8];
        EACH8(BROADCAST_WEIGHT)
        EACH8_1(LOAD_VALUE, 0)
        TIMES_ROWS(mixed[0], rows, b)
#if CHUNKS == 2
        EACH8_1(LOAD_VALUE, 1)
        TIMES_ROWS(mixed[1], rows, b)
#endif
      }
    }
    uint largest = 0u;
    EACH8(STORE_LSE)
    EACH_CHUNK(STORE_MIXED)
    if (turn == 0u && max_octet(int(largest)) > 0x7f800000) turns = 9u;
  }
}
