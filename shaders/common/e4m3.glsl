// quantize_e4m3 of core/abi/numeric.h for 4 elements at once, without branches, and the transpose of 8 x 8 codes across 8 lanes.
// Needs lanes.glsl and numeric.h.

// Codes of v * 2^k, rounded to nearest even and saturated, one a component. In integers, as numeric.h's, and equal to it.
uvec4 e4m3_codes(vec4 v, int k) {
  const uvec4 u = floatBitsToUint(v), magnitude = u & 0x7fffffffu;
  const ivec4 exponent = ivec4(magnitude >> 23) + k;  // biased by 127
  const uvec4 scaled = magnitude + uint(k << 23);
  const uvec4 normal = min(((scaled + 0x7ffffu + ((scaled >> 20) & 1u)) >> 20) - 960u, uvec4(0x7eu));
  const uvec4 shift = uvec4(clamp(141 - exponent, 21, 25)), mantissa = (magnitude & 0x7fffffu) | 0x800000u;
  const uvec4 subnormal = (mantissa + (uvec4(1u) << (shift - 1u)) - 1u + ((mantissa >> shift) & 1u)) >> shift;
  const uvec4 finite = mix(normal, subnormal, lessThan(exponent, ivec4(121)));
  return ((u >> 24) & 0x80u) | mix(finite, uvec4(0x7fu), greaterThan(magnitude, uvec4(0x7f800000u)));
}

uint bytes_of(uvec4 c) { return c.x | c.y << 8 | c.z << 16 | c.w << 24; }

// Lane l hands in row l of an 8 x 8 matrix of bytes and gets column l: halves change places across lanes 4, 2 and 1 apart.
uvec2 transpose_bytes(uvec2 row) {
  const bool upper = (lane() & 4u) != 0u, middle = (lane() & 2u) != 0u, odd = (lane() & 1u) != 0u;
  const uint far = xor_lane(upper ? row.x : row.y, 4u);
  const uvec2 w = upper ? uvec2(far, row.y) : uvec2(row.x, far);  // rows l & 3 and 4 further, 4 columns each
  const uint first_two = (w.x & 0xffffu) | w.y << 16, last_two = w.x >> 16 | (w.y & 0xffff0000u);
  const uint other_two = xor_lane(middle ? first_two : last_two, 2u);
  const uint a = middle ? other_two : first_two, b = middle ? last_two : other_two;  // rows l & 1 and 4 further; 2 and 6 further
  const uint first = (a & 0x00ff00ffu) | (b & 0x00ff00ffu) << 8, second = ((a >> 8) & 0x00ff00ffu) | (b & 0xff00ff00u);
  const uint other = xor_lane(odd ? first : second, 1u);
  const uint even_rows = odd ? other : first, odd_rows = odd ? second : other;
  return uvec2((even_rows & 0xffu) | (odd_rows & 0xffu) << 8 | (even_rows & 0xff00u) << 8 | (odd_rows & 0xff00u) << 16,
               (even_rows >> 16 & 0xffu) | (odd_rows >> 8 & 0xff00u) | (even_rows >> 8 & 0xff0000u) | (odd_rows & 0xff000000u));
}
