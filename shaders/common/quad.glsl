// Quads: 4 consecutive elements of a texel buffer as a vec4: one rgba32f texel, or 4 bf16 codes in one rg32ui texel. T is f32 or bf16.
// QUAD_CODES(T) is their type in a storage buffer, which QUAD_WRITE stores to: 3 times faster in software than an image's store.
// QUAD_STORE and QUAD_WRITE round to nearest even; the ..._STOCHASTIC forms take 4 random words, which f32 has no use for.
#define QUAD_FORMAT_f32 rgba32f
#define QUAD_FORMAT_bf16 rg32ui
#define QUAD_IMAGE_f32 imageBuffer
#define QUAD_IMAGE_bf16 uimageBuffer

vec4 quad_from_bf16(uvec2 t) { return uintBitsToFloat(uvec4(t.x << 16, t.x & 0xffff0000u, t.y << 16, t.y & 0xffff0000u)); }
uvec4 bf16_pairs(uvec4 codes) { return uvec4(codes.x | codes.y << 16, codes.z | codes.w << 16, 0u, 0u); }
uvec4 bf16_from_quad(vec4 v) {
  return bf16_pairs(uvec4(bf16_from_f32(v.x), bf16_from_f32(v.y), bf16_from_f32(v.z), bf16_from_f32(v.w)));
}
uvec4 bf16_from_quad_stochastic(vec4 v, uvec4 r) {
  return bf16_pairs(uvec4(bf16_from_f32_stochastic(v.x, r.x), bf16_from_f32_stochastic(v.y, r.y), bf16_from_f32_stochastic(v.z, r.z),
                          bf16_from_f32_stochastic(v.w, r.w)));
}

#define QUAD_LOAD_f32(image, i) imageLoad(image, int(i))
#define QUAD_LOAD_bf16(image, i) quad_from_bf16(imageLoad(image, int(i)).xy)
#define QUAD_STORE_f32(image, i, v) imageStore(image, int(i), v)
#define QUAD_STORE_bf16(image, i, v) imageStore(image, int(i), bf16_from_quad(v))
#define QUAD_STORE_STOCHASTIC_f32(image, i, v, random) imageStore(image, int(i), v)
#define QUAD_STORE_STOCHASTIC_bf16(image, i, v, random) imageStore(image, int(i), bf16_from_quad_stochastic(v, random))

#define QUAD_CODES_f32 vec4
#define QUAD_CODES_bf16 uvec2
#define QUAD_WRITE_f32(buffer, i, v) buffer[i] = v
#define QUAD_WRITE_bf16(buffer, i, v) buffer[i] = bf16_from_quad(v).xy
#define QUAD_WRITE_STOCHASTIC_f32(buffer, i, v, random) buffer[i] = v
#define QUAD_WRITE_STOCHASTIC_bf16(buffer, i, v, random) buffer[i] = bf16_from_quad_stochastic(v, random).xy

#define QUAD_JOIN_EXPANDED(a, b) a##b
#define QUAD_JOIN(a, b) QUAD_JOIN_EXPANDED(a, b)
#define QUAD_FORMAT(T) QUAD_JOIN(QUAD_FORMAT_, T)
#define QUAD_IMAGE(T) QUAD_JOIN(QUAD_IMAGE_, T)
#define QUAD_LOAD(T, image, i) QUAD_JOIN(QUAD_LOAD_, T)(image, i)
#define QUAD_STORE(T, image, i, v) QUAD_JOIN(QUAD_STORE_, T)(image, i, v)
#define QUAD_STORE_STOCHASTIC(T, image, i, v, random) QUAD_JOIN(QUAD_STORE_STOCHASTIC_, T)(image, i, v, random)
#define QUAD_CODES(T) QUAD_JOIN(QUAD_CODES_, T)
#define QUAD_WRITE(T, buffer, i, v) QUAD_JOIN(QUAD_WRITE_, T)(buffer, i, v)
#define QUAD_WRITE_STOCHASTIC(T, buffer, i, v, random) QUAD_JOIN(QUAD_WRITE_STOCHASTIC_, T)(buffer, i, v, random)
