// cache_append: writes the k and v heads of one token at position p = position[0] into the cache. A position outside
// the cache writes nothing. operands: qkv (1, q_heads + 2 kv_heads, head_dim), position (1) i32, cache (2, kv_heads,
// capacity, head_dim), in place.
#ifndef TANDEM_ABI_CACHE_APPEND_H
#define TANDEM_ABI_CACHE_APPEND_H
#include "core/abi/abi.h"
TANDEM_ABI_BEGIN

struct CacheAppend {
  uint32_t q_heads, kv_heads;
  uint32_t head_dim;
  uint32_t capacity;
};

TANDEM_ABI_END(CacheAppend)
#endif
