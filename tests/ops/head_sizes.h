// Head counts and widths that the per-head ops are tried with.
#pragma once

#include "tests/support/op_case.h"

namespace tandem::test {

struct Heads {
  uint32_t q, kv, dim;
  uint64_t width() const { return uint64_t(q + 2 * kv) * dim; }
  std::string text() const { return fmt::format("{}/{} heads of {}", q, kv, dim); }
};

// one head, as many key heads as query heads, grouped; the smallest and the largest width, and some between
inline const Heads kHeads[] = {{1, 1, 8},  {4, 4, 16}, {6, 2, 24},  {4, 1, 64},
                               {2, 1, 80}, {5, 5, 40}, {4, 2, 128}, {2, 1, 256}};

}  // namespace tandem::test
