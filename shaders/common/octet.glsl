// What the shaders for subgroups of 8 add to pack.glsl: packs of e4m3, of the output, and of other lanes.
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

// pack i of a buffer of uvec4, as STORE leaves it there
#define LOAD_BACK_f32(buffer, i) pack_from_f32(buffer[2u * (i)], buffer[2u * (i) + 1u])
#define LOAD_BACK_bf16(buffer, i) pack_from_bf16(buffer[i])
#define LOAD_BACK(T, buffer, i) JOIN(LOAD_BACK_, T)(buffer, i)

// A pack as 64-bit words, WIDE(T) of them: a store costs software as much a word of 64 bits as of 32.
#define WIDE_f32 u64vec4
#define WIDE_bf16 u64vec2
#define WIDE(T) JOIN(WIDE_, T)
// by shifts: where packUint2x32 joins values, Mesa keeps every copy of them in 512 bits, the sums of a loop before it included
u64vec2 wide(uvec4 t) { return u64vec2(t.xz) | u64vec2(t.yw) << 32; }
uvec4 narrow(u64vec2 t) { return uvec4(unpackUint2x32(t.x), unpackUint2x32(t.y)); }
#define STORE_WIDE_f32(buffer, i, v) buffer[i] = u64vec4(wide(floatBitsToUint((v).low)), wide(floatBitsToUint((v).high)))
#define STORE_WIDE_bf16(buffer, i, v) buffer[i] = wide(bf16_from_pack(v))
#define STORE_WIDE(T, buffer, i, v) JOIN(STORE_WIDE_, T)(buffer, i, v)
Pack pack_from_wide(u64vec4 t) { return pack_from_f32(narrow(t.xy), narrow(t.zw)); }
Pack pack_from_wide(u64vec2 t) { return pack_from_bf16(narrow(t)); }

// the pack of lane `from`
#define SHUFFLE(pack, from) Pack(subgroupShuffle((pack).low, from), subgroupShuffle((pack).high, from))
