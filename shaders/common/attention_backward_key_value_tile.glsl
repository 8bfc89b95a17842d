// The body of attention_backward_key_value.d*.comp: one subgroup makes 8 keys of a head; for each query head of its group in order, blocks of
// 64 queries from the tile's first key on. Scores and their gradients: lane l has the queries 8 l ... 8 l + 7 of the block. Then dk and dv,
// queries in order. A tile with NaN in it is done again, key by key: see attention_tile.glsl.
#include "shaders/common/attention_backward_tile.glsl"

#define LOAD_QUERY(j) b[j] = LOAD(T, qkv, q_at + (block + lane * 8u + uint(j)) * row_packs + d);
#define LOAD_DOUT(j) b[j] = LOAD(T, dout, dout_at + (block + lane * 8u + uint(j)) * p.q_heads * kPacks + d);
#define LOAD_QUERY_ROW(j, c) b[j] = LOAD(T, qkv, q_at + min(block + 8u * l + uint(j), uint(last)) * row_packs + 8u * uint(c) + lane);
#define LOAD_DOUT_ROW(j, c) b[j] = LOAD(T, dout, dout_at + min(block + 8u * l + uint(j), uint(last)) * p.q_heads * kPacks + 8u * uint(c) + lane);
#define WEIGH(r)                                                                               \
  {                                                                                            \
    const int row_key = subgroupShuffle(key, uint(r));                                         \
    const Pack x = scale(scores[r], p.scale * kLog2E);                                         \
    const Pack weight = exp2_of(Pack(x.low - lses.low, x.high - lses.high));                   \
    const Pack change = Pack(gradients[r].low - deltas.low, gradients[r].high - deltas.high);  \
    scores[r] = seen(weight, seen_from, row_key, at);                                          \
    gradients[r] = seen(multiply(weight, change), seen_from, row_key, at);                     \
  }
#define STORE_ROW(r, sums, c)                                                   \
  if (8u * uint(c) + lane < kPacks) {                                           \
    const Pack v_k = scale(dk[c][r], p.scale), v_v = dv[c][r];                  \
    largest = max(largest, max(amax_of(v_k), amax_of(v_v)));                    \
    if (stored(uint(r), turn)) {                                                \
      const uint to = k_at + (t0 + uint(r)) * row_packs + 8u * uint(c) + lane;  \
      STORE(T, dqkv, to, v_k);                                                  \
      STORE(T, dqkv, to + p.kv_heads * kPacks, v_v);                            \
    }                                                                           \
  }

struct Keys {
  ivec4 low, high;  // the first key that each of a lane's 8 queries sees
};

// elements of v whose query, at + 0 ... at + 7, sees the key; others are made 0
Pack seen(Pack v, Keys from, int key, int at) {
  const ivec4 low = at + ivec4(0, 1, 2, 3), high = low + 4;
  return Pack(mix(vec4(0.0), v.low, bvec4(uvec4(lessThanEqual(from.low, ivec4(key))) & uvec4(lessThanEqual(ivec4(key), low)))),
              mix(vec4(0.0), v.high, bvec4(uvec4(lessThanEqual(from.high, ivec4(key))) & uvec4(lessThanEqual(ivec4(key), high)))));
}

int first_key(uint row0, uint query) {
  return query < p.sequence_length ? int(query) - positions[row0 + query] : 0x7fffffff;
}

// the largest query of at + 0 ... at + 7 that sees the key, or else the key itself; whoever comes later sees later keys
int last_query(Keys from, int key, int at) {
  const ivec4 low = mix(ivec4(key), at + ivec4(0, 1, 2, 3), lessThanEqual(from.low, ivec4(key)));
  const ivec4 high = mix(ivec4(key), at + ivec4(4, 5, 6, 7), lessThanEqual(from.high, ivec4(key)));
  const ivec4 m = max(low, high);
  return max(max(m.x, m.y), max(m.z, m.w));
}

#define FOUR(list, i) vec4(list[i], list[i + 1u], list[i + 2u], list[i + 3u])
#define FOUR_KEYS(i) ivec4(first_key(row0, i), first_key(row0, i + 1u), first_key(row0, i + 2u), first_key(row0, i + 3u))

void main() {
  const uint lane = gl_SubgroupInvocationID, t0 = gl_WorkGroupID.x * 8u, kv_head = gl_WorkGroupID.y, sequence = gl_WorkGroupID.z;
  const uint row0 = sequence * p.sequence_length, row_packs = (p.q_heads + 2u * p.kv_heads) * kPacks;
  const uint k_at = row0 * row_packs + (p.q_heads + kv_head) * kPacks, heads = p.q_heads / p.kv_heads;
  uint turns = 1u;
  for (uint turn = 0u; turn < turns; ++turn) {
    const int key = int(min(t0 + (turn == 0u ? lane : turn - 1u), p.sequence_length - 1u));  // this lane's; a row's is its lane's
    const int last_key = max_octet(key);
    const uint own_k = k_at + uint(key) * row_packs, own_v = own_k + p.kv_heads * kPacks;
    Pack dk[CHUNKS][8], dv[CHUNKS][8];
    EACH_CHUNK_1(ZERO_CHUNK, dk)
    EACH_CHUNK_1(ZERO_CHUNK, dv)
    for (uint head = kv_head * heads; head < (kv_head + 1u) * heads; ++head) {
      const uint q_at = row0 * row_packs + head * kPacks, dout_at = (row0 * p.q_heads + head) * kPacks;
      const uint statistic = (sequence * p.q_heads + head) * p.sequence_length;
      for (uint block = uint(min_octet(key)); first_key(row0, block) <= last_key; block += 64u) {
        const uint own_query = block + 8u * lane;
        const int at = int(own_query);
        const Keys seen_from = Keys(FOUR_KEYS(own_query), FOUR_KEYS(own_query + 4u));
        const int last = max_octet(last_query(seen_from, last_key, at));
        Pack scores[8], gradients[8];
        EACH8_1(ZERO_ROW, scores)
        EACH8_1(ZERO_ROW, gradients)
        for (uint d = 0u; d < kPacks; ++d) {
          const Pack own = LOAD(T, qkv, own_k + d);
          Pack b[8], rows[8];
          EACH8(LOAD_QUERY)
          EACH8(BROADCAST_ROW)
          TIMES_COLUMNS(scores, rows, b)
        }
        for (uint d = 0u; d < kPacks; ++d) {
          const Pack own = LOAD(T, qkv, own_v + d);
          Pack b[8], rows[8];
          EACH8(LOAD_DOUT)
          EACH8(BROADCAST_ROW)
          TIMES_COLUMNS(gradients, rows, b)
        }
        const Pack lses = scale(Pack(FOUR(lse, statistic + own_query), FOUR(lse, statistic + own_query + 4u)), kLog2E);
        const Pack deltas = Pack(FOUR(delta, statistic + own_query), FOUR(delta, statistic + own_query + 4u));
        EACH8(WEIGH)
        for (uint l = 0u; l < 8u && int(block + 8u * l) <= last; ++l) {
          Pack b[8], rows[8];
          EACH8_1(BROADCAST_SCORE, gradients)
          EACH8_1(LOAD_QUERY_ROW, 0)
          TIMES_ROWS(dk[0], rows, b)
#if CHUNKS == 2
          EACH8_1(LOAD_QUERY_ROW, 1)
          TIMES_ROWS(dk[1], rows, b)
#endif
          EACH8_1(BROADCAST_SCORE, scores)
          EACH8_1(LOAD_DOUT_ROW, 0)
          TIMES_ROWS(dv[0], rows, b)
#if CHUNKS == 2
          EACH8_1(LOAD_DOUT_ROW, 1)
          TIMES_ROWS(dv[1], rows, b)
#endif
        }
      }
    }
    uint largest = 0u;
    EACH_CHUNK_1(STORE_ROW, dk)
    if (turn == 0u && max_octet(int(largest)) > 0x7f800000) turns = 9u;
  }
}
