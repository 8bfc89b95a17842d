// What a Program is compiled for: the limits and rates of a device.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "core/ops/op.h"
#include "core/program/queue.h"

namespace tandem {

// Between the ranks of a machine; 0: not known. What crosses the link of one rank, each way.
struct Links {
  double all_gather = 0, all_to_all = 0;  // bytes/s
  double latency = 0;                     // seconds per exchange
  double host_total = 0;  // bytes/s each way that the copies of all ranks to and from the host reach together
  // True if exchanges take the way of copies to and from the host, of that rate: no faster ones are there.
  bool by_host(double host_rate) const { return all_gather > 0 && all_gather <= host_rate; }
};

constexpr uint32_t kNarrowHead = 64;  // the widest head_dim whose attention has rates of its own

// What the cost model reckons with; 0: not known. Matrix products accumulate in f32.
struct Rates {
  double e4m3 = 0, bf16 = 0, f32 = 0;                          // FLOP/s that large products of such operands reach
  double attention = 0;                                        // FLOP/s that attention reaches
  double attention_backward = 0;                               // 0: as attention
  double narrow_attention = 0, narrow_attention_backward = 0;  // with head_dim up to kNarrowHead; 0: as the others
  uint32_t multiprocessors = 0;                                // a product's tiles spread over them
  double bandwidth = 0;                                        // bytes/s of device memory at its peak
  double passes = 0.9, optimizer = 0.9;                        // shares of it that passes over memory reach, and AdamW
  double quantize = 0;                            // the share that passes with an e4m3 operand reach; 0: as passes
  double host_to_device = 0, device_to_host = 0;  // bytes/s of a copy, while one runs the other way too
  double zero_copy = 0;  // bytes/s of a dispatch that reads host memory, and writes it as fast beside; 0: not known
  double launch_seconds = 0;  // from the end of a dispatch to the start of the next

  // Shares of those rates that n x n x n products reach, n ascending; where there are none, a product's share is what
  // its tiles fill of the multiprocessors.
  struct SizeShare {
    double n = 0, e4m3 = 0, bf16 = 0, f32 = 0;
  };
  std::vector<SizeShare> products;
  Links links;

  bool known() const { return bandwidth > 0 && f32 > 0; }
};

// Bytes of scratch that a dispatch of the op wants.
using ScratchOf = std::function<uint64_t(OpId op, const Parameters& parameters, Operands operands)>;

// What a Program is compiled for.
struct Target {
  std::string name;
  QueueSet queues{Queue::compute};
  uint64_t largest_arena = 0;      // bytes
  uint64_t largest_operand = 0;    // bytes of one operand
  uint64_t largest_chunk = 0;      // bytes of an operand that is made in chunks: every kernel takes so many
  uint64_t alignment = 256;        // an operand's offset is a multiple, bytes
  uint64_t memory_bytes = 0;       // what the process may take on the device, the reserve included
  uint64_t reserve_bytes = 0;      // what it takes beside what is planned: context, libraries, graphs
  uint64_t workspace_bytes = 0;    // scratch of an op that a library may run, at least; 0: no kernel wants any
  ScratchOf scratch;               // what the device's own shaders want; empty: nothing
  uint64_t staging_bytes = 0;      // on the device, for copies to and from the host
  uint64_t host_memory_bytes = 0;  // what the process may take on the host; 0: not known
  Rates rates;

  // Bytes of scratch that plan_memory gives a dispatch: what scratch says, and Cost::workspace where workspace_bytes
  // are not 0.
  uint64_t workspace(OpId op, const Parameters& parameters, Operands operands) const;
};

}  // namespace tandem
