// The host executor: a Backend for tests that runs a Program sequentially on plain memory with each op's naive
// reference.
#pragma once

#include "core/runtime/backend.h"
#include "tests/support/tensor.h"

namespace tandem::test {

// operands as in a Dispatch
using Reference = void (*)(const Parameters& parameters, Operands operands);

// tests/ops/<op>.cpp registers its op's reference before main
bool register_reference(OpId op, Reference reference);
Reference reference_of(OpId op);  // Exit::internal when the op's file is not linked

BackendFactory host_backend();
// With several queues, which run in an order drawn from seed, as signals and waits allow it.
std::unique_ptr<Backend> open_host(uint32_t queues, uint32_t seed);

}  // namespace tandem::test
