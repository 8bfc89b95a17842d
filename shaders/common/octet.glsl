// What the shaders for subgroups of 8 add to pack.glsl: packs of e4m3, 32-byte stores, and packs of other lanes.
#extension GL_KHR_shader_subgroup_basic : require
#extension GL_KHR_shader_subgroup_shuffle : require
#include "shaders/common/pack.glsl"
#include "shaders/common/unroll.glsl"

#define TEXEL_FORMAT_f32 rgba32ui
#define TEXEL_FORMAT_bf16 rgba32ui
#define TEXEL_FORMAT_e4m3 rg32ui
#define TEXEL_FORMAT(T) JOIN(TEXEL_FORMAT_, T)

// 2^-8 times the value: the bits of an e4m3 moved into a half's. A NaN code would read as 480 * 2^-8, but only a poisoned tensor has
// those, and quantize gives it a scale of NaN.
vec2 scaled_e4m3(uint codes) { return unpackHalf2x16((codes & 0x007f007fu) << 7 | (codes & 0x00800080u) << 8); }
Pack scaled_from_e4m3(uvec2 t) {
  const vec2 even0 = scaled_e4m3(t.x), odd0 = scaled_e4m3(t.x >> 8), even1 = scaled_e4m3(t.y), odd1 = scaled_e4m3(t.y >> 8);
  return Pack(vec4(even0.x, odd0.x, even0.y, odd0.y), vec4(even1.x, odd1.x, even1.y, odd1.y));
}
#define LOAD_e4m3(image, i) scaled_from_e4m3(imageLoad(image, int(i)).xy)

// Rows of C and of heads: 8 elements at once, the fastest store in software.
#define OCTET_f32 u64vec4
#define OCTET_bf16 uvec4
#define OCTET(T) JOIN(OCTET_, T)
#define PAIR(v) packUint2x32(floatBitsToUint(v))
#define TO_OCTET_f32(v) u64vec4(PAIR((v).low.xy), PAIR((v).low.zw), PAIR((v).high.xy), PAIR((v).high.zw))
#define TO_OCTET_bf16(v) bf16_from_pack(v)
#define TO_OCTET(T, v) JOIN(TO_OCTET_, T)(v)
Pack pack_from_pairs(u64vec4 o) {
  return pack_from_f32(uvec4(unpackUint2x32(o.x), unpackUint2x32(o.y)), uvec4(unpackUint2x32(o.z), unpackUint2x32(o.w)));
}
#define FROM_OCTET_f32(o) pack_from_pairs(o)
#define FROM_OCTET_bf16(o) pack_from_bf16(o)
#define FROM_OCTET(T, o) JOIN(FROM_OCTET_, T)(o)

#define SHUFFLE(pack, from) Pack(subgroupShuffle((pack).low, from), subgroupShuffle((pack).high, from))
