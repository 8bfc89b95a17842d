// Repetition by the preprocessor: a driver keeps an array in registers only where every index is a literal, and does not unroll nested loops.
// EACH8(M): M(0) ... M(7); EACH8_n passes n further arguments on.
#define EACH8(M) M(0) M(1) M(2) M(3) M(4) M(5) M(6) M(7)
#define EACH8_1(M, x) M(0, x) M(1, x) M(2, x) M(3, x) M(4, x) M(5, x) M(6, x) M(7, x)
#define EACH8_2(M, x, y) M(0, x, y) M(1, x, y) M(2, x, y) M(3, x, y) M(4, x, y) M(5, x, y) M(6, x, y) M(7, x, y)
#define EACH8_3(M, x, y, z) \
  M(0, x, y, z) M(1, x, y, z) M(2, x, y, z) M(3, x, y, z) M(4, x, y, z) M(5, x, y, z) M(6, x, y, z) M(7, x, y, z)
#define EACH8_4(M, x, y, z, w) \
  M(0, x, y, z, w) M(1, x, y, z, w) M(2, x, y, z, w) M(3, x, y, z, w) M(4, x, y, z, w) M(5, x, y, z, w) M(6, x, y, z, w) M(7, x, y, z, w)

// element i, a literal, of a pack
#define AT(pack, i) ((i) < 4 ? (pack).low[(i) & 3] : (pack).high[(i) & 3])
