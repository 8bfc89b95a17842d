#include "core/runtime/collectives.h"

#include "core/runtime/backend.h"

namespace tandem {

BufferRef span_of(const Part& part, uint32_t ranks) {
  BufferRef all = part.buffer;
  all.bytes += part.stride * (ranks - 1);
  return all;
}

void run_collective(World& world, const Collective& collective, std::string_view label, const Address& at) {
  std::vector<ExchangeItem> items;
  for (size_t i = 0; i < collective.to.size(); ++i) {
    const Part& part = collective.from[i];
    const BufferRef &to = collective.to[i], from = span_of(part, world.seat().ranks);
    items.push_back({{at(from), part.buffer.bytes}, part.stride, {at(to), to.bytes}});
  }
  exchange(world, collective.kind, label, items);
}

}  // namespace tandem
