// Splits a step over ranks: each answers for some rows of every matrix, and vectors are whole on all of them. What the
// ranks exchange, and where, says docs/distributed.md.
#pragma once

#include "core/passes/policy.h"
#include "core/program/sharding.h"

namespace tandem {

// After recompute, so that it sees every use of a weight; before chunk and offload, which cut and move shards. The
// graph is built for that many ranks: its update exchanges the norm and the loss.
Graph shard(const Graph& graph, const Sharding& sharding, const MemoryPolicy& policy);

}  // namespace tandem
