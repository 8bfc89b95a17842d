// What the attention shaders for subgroups of 8 share: products of 8 x 8 tiles, weights, and where heads stand.
// Needs T, the push constants p of attention or of its gradient, and octet.glsl.
const float kLog2E = 1.44269504;

// TIMES_COLUMNS, TIMES_ROWS: sums[r], 8 columns, += over k, ascending, of element k of rows[r] times the columns' values at k, where b[j] holds 8 k's
// of column j, or b[k] the 8 columns at k. In halves of 4 columns, which fit the registers.
#define TILE_MULTIPLY_ADD(r, k, sums, rows, half) sums[r].half += AT(rows[r], k) * columns;
#define TILE_STEP(k, sums, rows, half, values)       \
  {                                                  \
    const vec4 columns = values;                     \
    EACH8_4(TILE_MULTIPLY_ADD, k, sums, rows, half)  \
  }
#define TILE_COLUMNS(k, sums, rows, b) TILE_STEP(k, sums, rows, low, vec4(AT(b[0], k), AT(b[1], k), AT(b[2], k), AT(b[3], k)))
#define TILE_COLUMNS_HIGH(k, sums, rows, b) TILE_STEP(k, sums, rows, high, vec4(AT(b[4], k), AT(b[5], k), AT(b[6], k), AT(b[7], k)))
#define TILE_ROWS(k, sums, rows, b) TILE_STEP(k, sums, rows, low, b[k].low)
#define TILE_ROWS_HIGH(k, sums, rows, b) TILE_STEP(k, sums, rows, high, b[k].high)
#define TIMES_COLUMNS(sums, rows, b) EACH8_3(TILE_COLUMNS, sums, rows, b) EACH8_3(TILE_COLUMNS_HIGH, sums, rows, b)
#define TIMES_ROWS(sums, rows, b) EACH8_3(TILE_ROWS, sums, rows, b) EACH8_3(TILE_ROWS_HIGH, sums, rows, b)

// 2^x for x <= 0, 0 under 2^-126; NaN stays. About 1 ulp; exp_f32's branches would cost twice as much
vec4 exp2_of(vec4 x) {
  const vec4 n = floor(x + 0.5), r = x - n;
  vec4 y = 1.54035304e-4 * r + 1.33335581e-3;
  y = y * r + 9.61812911e-3;
  y = y * r + 5.55041087e-2;
  y = y * r + 2.40226507e-1;
  y = y * r + 6.93147181e-1;
  y = y * r + 1.0;
  const vec4 power = intBitsToFloat((ivec4(max(n, -126.0)) + 127) << 23);
  return mix(y * power, vec4(0.0), lessThan(x, vec4(-126.0)));
}
Pack exp2_of(Pack x) { return Pack(exp2_of(x.low), exp2_of(x.high)); }

// elements of v whose number is from first to last; others are made `other`
Pack between(Pack v, int first, int last, float other) {
  const ivec4 low = ivec4(0, 1, 2, 3), high = ivec4(4, 5, 6, 7);
  return Pack(mix(vec4(other), v.low, bvec4(uvec4(greaterThanEqual(low, ivec4(first))) & uvec4(lessThanEqual(low, ivec4(last))))),
              mix(vec4(other), v.high, bvec4(uvec4(greaterThanEqual(high, ivec4(first))) & uvec4(lessThanEqual(high, ivec4(last))))));
}

float max_of(Pack v) {
  const vec4 m = max(v.low, v.high);
  return max(max(m.x, m.y), max(m.z, m.w));
}
float max_octet(float x) {
  x = max(x, subgroupShuffleXor(x, 4u));
  x = max(x, subgroupShuffleXor(x, 2u));
  return max(x, subgroupShuffleXor(x, 1u));
}
float sum_octet(float x) {
  precise float sum = x + subgroupShuffleXor(x, 4u);
  sum = sum + subgroupShuffleXor(sum, 2u);
  sum = sum + subgroupShuffleXor(sum, 1u);
  return sum;
}
int min_octet(int x) {
  x = min(x, subgroupShuffleXor(x, 4u));
  x = min(x, subgroupShuffleXor(x, 2u));
  return min(x, subgroupShuffleXor(x, 1u));
}
int max_octet(int x) { return -min_octet(-x); }
