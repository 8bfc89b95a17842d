// The body of attention_backward_query.d*.comp: one subgroup makes 8 queries of a head, over blocks of 64 keys.
// Scores and their gradients: lane l has the keys 8 l ... 8 l + 7 of the block, elements of head_dim in order. Then dq, keys in order.
// A tile with NaN in it is done again, query by query: see attention_tile.glsl.
#include "shaders/common/attention_backward_tile.glsl"

#define LOAD_KEY(j) b[j] = LOAD(T, qkv, k_at + (block + lane * 8u + uint(j)) * row_packs + d);
#define LOAD_VALUE(j) b[j] = LOAD(T, qkv, k_at + p.kv_heads * kPacks + (block + lane * 8u + uint(j)) * row_packs + d);
#define LOAD_KEY_ROW(j, c) b[j] = LOAD(T, qkv, k_at + min(block + 8u * l + uint(j), last) * row_packs + 8u * uint(c) + lane);
#define WEIGH(r)                                                                                                                    \
  {                                                                                                                                 \
    const int at = int(block + 8u * lane), from = subgroupShuffle(first, uint(r)) - at, to = subgroupShuffle(query, uint(r)) - at;  \
    const Pack x = scale(scores[r], p.scale * kLog2E);                                                                              \
    const float row_lse = subgroupShuffle(own_lse, uint(r)), row_delta = subgroupShuffle(own_delta, uint(r));                       \
    const Pack weight = exp2_of(Pack(x.low - row_lse, x.high - row_lse));                                                           \
    const Pack change = Pack(gradients[r].low - row_delta, gradients[r].high - row_delta);                                          \
    scores[r] = between(multiply(weight, change), from, to, 0.0);                                                                   \
  }
#define STORE_ROW(r, sums, c)                                                                                               \
  if (8u * uint(c) + lane < kPacks) {                                                                                       \
    const Pack v = scale(sums[c][r], p.scale);                                                                              \
    largest = max(largest, amax_of(v));                                                                                     \
    if (stored(uint(r), turn)) STORE(T, dqkv, base + (t0 + uint(r)) * row_packs + head * kPacks + 8u * uint(c) + lane, v);  \
  }

void main() {
  const uint lane = gl_SubgroupInvocationID, t0 = gl_WorkGroupID.x * 8u, head = gl_WorkGroupID.y, sequence = gl_WorkGroupID.z;
  const uint row0 = sequence * p.sequence_length, row_packs = (p.q_heads + 2u * p.kv_heads) * kPacks, base = row0 * row_packs;
  const uint k_at = base + (p.q_heads + head / (p.q_heads / p.kv_heads)) * kPacks;
  uint turns = 1u;
  for (uint turn = 0u; turn < turns; ++turn) {
    const int query = int(min(t0 + (turn == 0u ? lane : turn - 1u), p.sequence_length - 1u));  // this lane's; a row's is its lane's
    const int first = query - positions[row0 + uint(query)];
    const uint last = uint(max_octet(query)), statistic = (sequence * p.q_heads + head) * p.sequence_length + uint(query);
    const float own_lse = lse[statistic] * kLog2E, own_delta = delta[statistic];
    const uint own_q = base + uint(query) * row_packs + head * kPacks, own_dout = ((row0 + uint(query)) * p.q_heads + head) * kPacks;
    Pack dq[CHUNKS][8];
    EACH_CHUNK_1(ZERO_CHUNK, dq)
    for (uint block = uint(min_octet(first)); block <= last; block += 64u) {
      Pack scores[8], gradients[8];
      EACH8_1(ZERO_ROW, scores)
      EACH8_1(ZERO_ROW, gradients)
      for (uint d = 0u; d < kPacks; ++d) {
        const Pack own = LOAD(T, qkv, own_q + d);
        Pack b[8], rows[8];
        EACH8(LOAD_KEY)
        EACH8(BROADCAST_ROW)
        TIMES_COLUMNS(scores, rows, b)
      }
      for (uint d = 0u; d < kPacks; ++d) {
        const Pack own = LOAD(T, dout, own_dout + d);
        Pack b[8], rows[8];
        EACH8(LOAD_VALUE)
        EACH8(BROADCAST_ROW)
        TIMES_COLUMNS(gradients, rows, b)
      }
      EACH8(WEIGH)
      for (uint l = 0u; l < 8u && block + 8u * l <= last; ++l) {
        Pack b[8], rows[8];
        EACH8_1(BROADCAST_SCORE, scores)
        EACH8_1(LOAD_KEY_ROW, 0)
        TIMES_ROWS(dq[0], rows, b)
#if CHUNKS == 2
        EACH8_1(LOAD_KEY_ROW, 1)
        TIMES_ROWS(dq[1], rows, b)
#endif
      }
    }
    uint largest = 0u;
    EACH_CHUNK_1(STORE_ROW, dq)
    if (turn == 0u && max_octet(int(largest)) > 0x7f800000) turns = 9u;
  }
}
