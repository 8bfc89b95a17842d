#include "core/passes/policy.h"

#include <fmt/ranges.h>

namespace tandem {
namespace {

template <typename T>
T entry_of(const std::vector<T>& by_layer, uint32_t layer) {
  if (by_layer.empty()) return {};
  return by_layer[std::min<size_t>(layer, by_layer.size() - 1)];
}

template <typename E, typename Names>
std::string joined(EnumSet<E> set, const Names& names) {
  std::vector<std::string_view> members;
  for (size_t i = 0; i < std::size(names); ++i)
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

Weights MemoryPolicy::weights_of(uint32_t layer) const {
  return entry_of(weights, layer);
}

std::vector<std::string> offload_words(std::span<const std::string> states, bool fp8) {
  TANDEM_CHECK(states.size() <= kMostStates, "{} optimizer states, expected at most {}", states.size(), kMostStates);
  std::vector<std::string> words(states.begin(), states.end());
  words.resize(kOffloadCount);
  words[size_t(Offload::parameters)] = "parameters";
  if (fp8) words[size_t(Offload::copies)] = "copies";
  words[size_t(Offload::gradients)] = "gradients";
  words[size_t(Offload::residuals)] = "residuals";
  return words;
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

std::string to_string(EnumSet<Offload> set, std::span<const std::string> words) {
  return joined(set, words);
}

}  // namespace tandem
