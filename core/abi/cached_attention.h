// cached_attention: one query token over keys 0 ... position[0] of the cache, as attention does.
// operands: qkv (1, q_heads + 2 kv_heads, head_dim), position (1) i32, cache (2, kv_heads, capacity, head_dim), out (1,
// q_heads, head_dim).
#ifndef TANDEM_ABI_CACHED_ATTENTION_H
#define TANDEM_ABI_CACHED_ATTENTION_H
#include "core/abi/abi.h"
TANDEM_ABI_BEGIN

struct CachedAttention {
  uint32_t q_heads, kv_heads;
  uint32_t head_dim;
  uint32_t capacity;
  float scale;
};

const uint32_t kCachedAttentionPart =
    256u;  // keys that CUDA's kernel takes at once: its workspace holds a part's results

TANDEM_ABI_END(CachedAttention)
#endif
