// STORE_TEXEL(T, image, i, v): as STORE of pack.glsl, into a texel buffer: for operands that may be too large for a storage buffer's range, or
// that are read too.
#define STORE_TEXEL_f32(image, i, v)                                   \
  {                                                                    \
    imageStore(image, int(2u * (i)), floatBitsToUint((v).low));        \
    imageStore(image, int(2u * (i) + 1u), floatBitsToUint((v).high));  \
  }
#define STORE_TEXEL_bf16(image, i, v) imageStore(image, int(i), bf16_from_pack(v))
#define STORE_TEXEL(T, image, i, v) JOIN(STORE_TEXEL_, T)(image, i, v)
