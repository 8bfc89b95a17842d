// A model so small that every policy of it can be planned, on a device that is made up.
#pragma once

#include "core/plan/planner.h"

namespace tandem::test {

// A small model on a device so slow and so narrow that products, passes and copies all tell.
inline PlanRequest small_request(uint32_t layers) {
  PlanRequest r;
  r.model = {.family = Family::llama,
             .vocabulary = 500,
             .hidden = 64,
             .ffn = 160,
             .layers = layers,
             .q_heads = 4,
             .kv_heads = 2,
             .head_dim = 16,
             .tied = true};
  r.precision.recipe = Recipe::fp8;
  r.shape = {.micro_batch = 4, .accumulation = 3, .sequence_length = 64, .head_chunks = 4};
  r.target.name = "small";
  r.target.queues = queues_of(3);
  r.target.largest_arena = r.target.largest_operand = r.target.largest_chunk = r.target.memory_bytes = uint64_t(1)
                                                                                                       << 40;
  r.target.rates = {.e4m3 = 40e9,
                    .bf16 = 20e9,
                    .f32 = 10e9,
                    .attention = 10e9,
                    .multiprocessors = 0,
                    .bandwidth = 10e9,
                    .host_to_device = 1e9,
                    .device_to_host = 1e9,
                    .launch_seconds = 1e-6};
  return r;
}

}  // namespace tandem::test
