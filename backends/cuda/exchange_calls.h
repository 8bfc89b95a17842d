// A Collective of a Program as the calls of one NCCL group.
#pragma once

#include "core/runtime/collectives.h"

namespace tandem::cuda {

enum class CallKind : uint8_t { all_gather, all_reduce_max, send, receive };

struct ExchangeCall {
  CallKind kind = CallKind::all_gather;
  const std::byte* from = nullptr;  // null for receive
  std::byte* to = nullptr;          // null for send
  uint64_t bytes = 0;               // bytes in one rank's part
  uint32_t peer = 0;                // the peer that sends or receives; may be the rank itself
};

// The calls of one rank, whose buffers `at` finds. Between two ranks parts are sent and received in one order.
std::vector<ExchangeCall> calls_of(const Collective& collective, uint32_t ranks, const Address& at);

}  // namespace tandem::cuda
