#include "core/plan/corrections.h"

#include <algorithm>

namespace tandem {
namespace {

constexpr uint32_t kLayers = 3;  // a model of so many stands for a family

}  // namespace

size_t differ(const Choice& a, const Choice& b) {
  size_t knobs = 0;
  for (size_t k = 0; k < a.size(); ++k) knobs += a[k] != b[k];
  return knobs;
}

Corrections::Corrections(const std::vector<Knob>& knobs, uint32_t layers) : knobs_(knobs), layers_(layers) {
  double families = 1;
  for (const Knob& knob : knobs_) {
    most_.push_back(knob.counts() ? kLayers + 2 : knob.most() + 1);
    families *= double(most_.back());
  }
  TANDEM_CHECK(families < 0x1p64, "{} families of choices", families);
}

// None, one or all of three layers stand for the counts. One family's estimates err alike, and one correction serves
// them.
uint32_t Corrections::family_value(size_t knob, uint32_t value) const {
  if (!knobs_[knob].counts() || value == 0) return value;
  return value < layers_ ? 1 : value == layers_ ? kLayers : kLayers + 1;
}

Choice Corrections::family_of(const Choice& choice) const {
  Choice family = choice;
  for (size_t k = 0; k < knobs_.size(); ++k) family[k] = family_value(k, choice[k]);
  return family;
}

void Corrections::add(const Choice& choice, const Usage& error) {
  const Choice family = family_of(choice);
  const MemoryPolicy policy = policy_of(knobs_, family, kLayers);
  std::erase_if(all_, [&](const Known& known) { return known.policy == policy; });
  all_.push_back({family, policy, error});
  nearest_.clear();
}

const Corrections::Correction& Corrections::of(const Choice& choice, bool only_same) const {
  uint64_t key = 0;
  for (size_t k = 0; k < knobs_.size(); ++k) key = key * most_[k] + family_value(k, choice[k]);
  const auto [found, fresh] = nearest_.try_emplace(key);
  if (!fresh) return found->second;
  const Choice family = family_of(choice);
  const MemoryPolicy policy = policy_of(knobs_, family, kLayers);
  size_t least = SIZE_MAX;
  for (const Known& known : all_) {
    if (only_same && known.policy != policy) continue;
    const size_t apart = known.policy == policy ? 0 : 1 + differ(family, known.family);
    if (apart <= least) least = apart, found->second = {known.error, apart == 0};
  }
  return found->second;
}

}  // namespace tandem
