// The factors of quad i of a matrix, whose channels are its rows or, transposed, its columns; p has columns and transposed.
#define CHANNEL_FACTORS(factors, i) \
  (p.transposed != 0u ? vec4(factors[CHANNEL(i)], factors[CHANNEL(i) + 1u], factors[CHANNEL(i) + 2u], factors[CHANNEL(i) + 3u]) \
                      : vec4(factors[4u * (i) / p.columns]))
#define CHANNEL(i) (4u * (i) % p.columns)
