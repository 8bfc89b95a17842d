// Packs: 8 consecutive elements of an operand, as f32; 16 bytes of bf16, 32 of f32. What is read is a texel buffer of rgba32ui, what is
// written a buffer of uvec4: the fastest of each in software. Loads beyond the operand's end may give anything; no shader stores there.
// LOAD(T, image, i) reads pack i of T = f32 or bf16, STORE(T, buffer, i, v) rounds v to T and writes it, ROUND(T, v) only rounds.
#extension GL_GOOGLE_include_directive : require
#include "core/abi/numeric.h"

struct Pack {
  vec4 low, high;  // elements 0 to 3, 4 to 7
};

Pack pack_from_f32(uvec4 low, uvec4 high) { return Pack(uintBitsToFloat(low), uintBitsToFloat(high)); }

Pack pack_from_bf16(uvec4 t) {
  const uvec4 even = t << 16, odd = t & 0xffff0000u;
  return Pack(uintBitsToFloat(uvec4(even.x, odd.x, even.y, odd.y)), uintBitsToFloat(uvec4(even.z, odd.z, even.w, odd.w)));
}

uvec4 bf16_codes(vec4 v) {
  return uvec4(bf16_from_f32(v.x), bf16_from_f32(v.y), bf16_from_f32(v.z), bf16_from_f32(v.w));
}

uvec4 bf16_from_pack(Pack v) {
  const uvec4 low = bf16_codes(v.low), high = bf16_codes(v.high);
  return uvec4(low.x | low.y << 16, low.z | low.w << 16, high.x | high.y << 16, high.z | high.w << 16);
}

#define LOAD_f32(image, i) pack_from_f32(imageLoad(image, int(2u * (i))), imageLoad(image, int(2u * (i) + 1u)))
#define LOAD_bf16(image, i) pack_from_bf16(imageLoad(image, int(i)))
#define STORE_f32(buffer, i, v)                                                     \
  {                                                                                 \
    buffer[2u * (i)] = floatBitsToUint((v).low);                                    \
    buffer[2u * (i) + 1u] = floatBitsToUint((v).high);                              \
  }
#define STORE_bf16(buffer, i, v) buffer[i] = bf16_from_pack(v)
#define ROUND_f32(v) (v)
#define ROUND_bf16(v) pack_from_bf16(bf16_from_pack(v))

#define JOIN_EXPANDED(a, b) a##b
#define JOIN(a, b) JOIN_EXPANDED(a, b)
#define LOAD(T, image, i) JOIN(LOAD_, T)(image, i)
#define STORE(T, buffer, i, v) JOIN(STORE_, T)(buffer, i, v)
#define ROUND(T, v) JOIN(ROUND_, T)(v)

Pack add(Pack a, Pack b) {
  precise Pack sum = Pack(a.low + b.low, a.high + b.high);
  return sum;
}

Pack multiply(Pack a, Pack b) {
  precise Pack product = Pack(a.low * b.low, a.high * b.high);
  return product;
}

Pack scale(Pack a, float by) {
  precise Pack product = Pack(a.low * by, a.high * by);
  return product;
}

Pack splat(float x) { return Pack(vec4(x), vec4(x)); }

float sum_of(Pack v) {  // in the order ((0 + 4) + (1 + 5)) + ((2 + 6) + (3 + 7))
  precise vec4 s = v.low + v.high;
  precise float sum = (s.x + s.y) + (s.z + s.w);
  return sum;
}

// v with the elements from `count` on made 0
Pack first_elements(Pack v, uint count) {
  if (count >= 8u) return v;
  return Pack(mix(vec4(0.0), v.low, lessThan(uvec4(0, 1, 2, 3), uvec4(count))),
              mix(vec4(0.0), v.high, lessThan(uvec4(4, 5, 6, 7), uvec4(count))));
}

// v with the elements of pack i that stand at count and beyond made 0; count may be close to 2^32
Pack without_tail(Pack v, uint i, uint count) { return first_elements(v, count > i * 8u ? count - i * 8u : 0u); }

// the largest bits(|x|), NaN above all
uint amax_of(Pack v) {
  const uvec4 m = max(floatBitsToUint(v.low) & 0x7fffffffu, floatBitsToUint(v.high) & 0x7fffffffu);
  return max(max(m.x, m.y), max(m.z, m.w));
}

uint amax_of_bf16(uvec4 t) {
  const uvec4 m = max(t << 16 & 0x7fff0000u, t & 0x7fff0000u);
  return max(max(m.x, m.y), max(m.z, m.w));
}

// STORE, and largest = max(largest, bits(|what is stored|))
#define STORE_RAISING_f32(buffer, i, v, largest) \
  {                                              \
    STORE_f32(buffer, i, v)                      \
    largest = max(largest, amax_of(v));          \
  }
#define STORE_RAISING_bf16(buffer, i, v, largest)    \
  {                                                  \
    const uvec4 codes = bf16_from_pack(v);           \
    buffer[i] = codes;                               \
    largest = max(largest, amax_of_bf16(codes));     \
  }
#define STORE_RAISING(T, buffer, i, v, largest) JOIN(STORE_RAISING_, T)(buffer, i, v, largest)
