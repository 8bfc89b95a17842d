#include "backends/cuda/exchange_calls.h"

namespace tandem::cuda {
namespace {

void append_all_to_all(std::vector<ExchangeCall>& calls, const std::byte* from, uint64_t stride, std::byte* to,
                       uint64_t bytes, uint32_t ranks) {
  for (uint32_t peer = 0; peer < ranks; ++peer) {
    calls.push_back({.kind = CallKind::send, .from = from + peer * stride, .bytes = bytes, .peer = peer});
    calls.push_back({.kind = CallKind::receive, .to = to + peer * bytes, .bytes = bytes, .peer = peer});
  }
}

}  // namespace

std::vector<ExchangeCall> calls_of(const Collective& collective, uint32_t ranks, const Address& at) {
  std::vector<ExchangeCall> calls;
  for (size_t i = 0; i < collective.to.size(); ++i) {
    const Part& part = collective.from[i];
    const uint64_t bytes = part.buffer.bytes;
    if (bytes == 0) continue;
    const std::byte* const from = at(span_of(part, ranks));
    std::byte* const to = at(collective.to[i]);
    switch (collective.kind) {
      case CollectiveKind::all_gather:
        calls.push_back({.kind = CallKind::all_gather, .from = from, .to = to, .bytes = bytes});
        break;
      case CollectiveKind::all_to_all:
        append_all_to_all(calls, from, part.stride, to, bytes, ranks);
        break;
      case CollectiveKind::all_reduce_max:
        calls.push_back({.kind = CallKind::all_reduce_max, .from = from, .to = to, .bytes = bytes});
        break;
    }
  }
  return calls;
}

}  // namespace tandem::cuda
