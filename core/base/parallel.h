// Work over independent elements, on all processors.
#pragma once

#include <cstdint>
#include <functional>

namespace tandem {

// Calls body(first, last) on parts that cover 0 ... count - 1 once, at the same time; parts begin at multiples of
// grain, which is as much as pays for a thread. Returns when all are done; an exception of one is thrown then.
void parallel_for(uint64_t count, uint64_t grain, const std::function<void(uint64_t first, uint64_t last)>& body);

}  // namespace tandem
