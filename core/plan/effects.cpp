#include "core/plan/effects.h"

#include <algorithm>

namespace tandem {

Effects::Effects(const std::vector<Knob>& knobs, const Usage& base, Change change)
    : knobs_(knobs), base_(base), change_(std::move(change)), changes_(knobs.size()), known_(knobs.size()) {
  for (size_t k = 0; k < knobs_.size(); ++k) {
    most_.push_back(knobs_[k].most() + 1);
    changes_[k].push_back(k);
    for (const Knob::With& with : knobs_[k].with) changes_[with.knob].push_back(k);
  }
}

const Usage& Effects::of(size_t knob, const Choice& choice) const {
  static const Usage kNothing;
  if (is_first(knob, choice)) return kNothing;
  uint64_t key = choice[knob];
  for (const Knob::With& with : knobs_[knob].with) key = key * most_[with.knob] + (choice[with.knob] & with.mask);
  Known& known = known_[knob];
  if (known.last && known.key == key) return *known.last;
  auto found = known.all.find(key);
  if (found == known.all.end()) found = known.all.emplace(key, change_(knob, choice)).first;
  known.key = key;
  return *(known.last = &found->second);
}

Usage Effects::sum(const Choice& choice) const {
  TANDEM_CHECK(choice.size() == knobs_.size(), "a choice of {} knobs, expected {}", choice.size(), knobs_.size());
  Usage usage = base_;
  for (size_t k = 0; k < knobs_.size(); ++k)
    if (!is_first(k, choice)) usage.add(of(k, choice), 1);
  return usage;
}

}  // namespace tandem
