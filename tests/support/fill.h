// How a test case fills an operand. Random fills draw from a generator seeded by the case's name: the same everywhere.
#pragma once

#include <functional>
#include <string_view>

#include "tests/support/tensor.h"

namespace tandem::test {

// splitmix64; the standard library's distributions differ between implementations
class Random {
 public:
  explicit Random(std::string_view seed);
  uint64_t next();
  uint64_t below(uint64_t bound) { return next() % bound; }
  double uniform();  // (0, 1)
  double normal();

 private:
  uint64_t state_;
};

using Filler = std::function<void(Tensor&, Random&)>;

Filler normal(double scale = 1, double mean = 0);
Filler constant(double value);
Filler zeros();
Filler codes();  // e4m3: every code but NaN; e5m3, u8: every one; other dtypes: random bits of finite numbers
Filler put(Filler base, std::vector<std::pair<uint64_t, double>> elements);  // some elements replaced
Filler words(std::vector<uint32_t> values);                                  // bits of elements; the rest 0
Filler integers(int64_t low, int64_t high);                                  // low .. high - 1
// positions of documents that start where a sequence starts and at `starts` (rows of the whole operand)
Filler positions(uint64_t length, std::vector<uint64_t> starts = {});

// rows that stress a kernel, by turns: zeros, one huge value, f32 subnormals, a NaN, an infinity, ordinary
Filler odd_rows(double huge = 1e15);

}  // namespace tandem::test
