// A device for each rank of a test.
#pragma once

#include "core/runtime/backend.h"

namespace tandem::test {

// "host", whose queues run in another order on each rank; the device of that number of "cuda", whose matrix products
// are the library's first proposals; else the executor's only one.
std::unique_ptr<Backend> open_for_rank(const std::string& executor, uint32_t rank);

// Why there are not so many; empty: there are.
std::string too_few_devices(const std::string& executor, uint32_t count);

}  // namespace tandem::test
