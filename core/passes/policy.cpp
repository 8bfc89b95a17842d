#include "core/passes/policy.h"

#include <fmt/ranges.h>

namespace tandem {
namespace {

template <typename T>
T entry_of(const std::vector<T>& by_layer, uint32_t layer) {
  if (by_layer.empty()) return {};
  return by_layer[std::min<size_t>(layer, by_layer.size() - 1)];
}

template <typename E, size_t n>
std::string joined(EnumSet<E> set, const std::string_view (&names)[n]) {
  std::vector<std::string_view> members;
  for (size_t i = 0; i < n; ++i)
    if (set.contains(E(i))) members.push_back(names[i]);
  return members.empty() ? "none" : fmt::format("{}", fmt::join(members, ", "));
}

}  // namespace

EnumSet<Recompute> MemoryPolicy::recompute_of(uint32_t layer) const {
  return layer == kNoLayer ? EnumSet<Recompute>{} : entry_of(recompute, layer);
}

EnumSet<Offload> MemoryPolicy::offload_of(uint32_t layer) const {
  return layer == kNoLayer ? offload_outside : entry_of(offload, layer);
}

Copies MemoryPolicy::copies_of(uint32_t layer) const {
  return entry_of(copies, layer);
}

MemoryPolicy uniform_policy(EnumSet<Recompute> recompute, EnumSet<Offload> offload) {
  MemoryPolicy policy;
  policy.recompute = {recompute};
  policy.offload = {offload};
  policy.offload_outside = offload;
  return policy;
}

std::string to_string(EnumSet<Recompute> set) {
  return joined(set, kRecomputeNames);
}

std::string to_string(EnumSet<Offload> set) {
  return joined(set, kOffloadNames);
}

}  // namespace tandem
