// Queues of a Program, by role.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "core/base/enum_set.h"

namespace tandem {

// in: copies to the device; out: copies to the host; exchange: between ranks
enum class Queue : uint8_t { compute, in, out, exchange };
constexpr std::string_view kQueueNames[] = {"compute", "in", "out", "exchange"};
constexpr size_t kQueueCount = std::size(kQueueNames);
constexpr std::string_view name_of(Queue queue) {
  return kQueueNames[size_t(queue)];
}

using QueueSet = EnumSet<Queue>;

// The queue that does a role's work where those in `has` exist: out falls back to in; in and exchange to compute.
constexpr Queue queue_for(Queue role, QueueSet has) {
  if (role == Queue::out && !has.contains(role)) role = Queue::in;
  return has.contains(role) ? role : Queue::compute;
}

// Device tables count queues: 1 computes, 2 has one for copies, 3 one for each way, 4 one for what ranks exchange.
constexpr QueueSet queues_of(uint32_t count) {
  QueueSet queues{Queue::compute};
  if (count > 1) queues.insert(Queue::in);
  if (count > 2) queues.insert(Queue::out);
  if (count > 3) queues.insert(Queue::exchange);
  return queues;
}

}  // namespace tandem
