// What values of knobs change, each kept once it is known; an estimate is their sum.
#pragma once

#include <functional>
#include <unordered_map>

#include "core/plan/knobs.h"
#include "core/plan/usage.h"

namespace tandem {

class Effects {
 public:
  // What the choice's value of a knob changes, beside the values of those with it.
  using Change = std::function<Usage(size_t knob, const Choice& choice)>;
  // base: with each knob's first value. knobs must outlive it.
  Effects(const std::vector<Knob>& knobs, const Usage& base, Change change);
  Effects(const Effects&) = delete;
  Effects& operator=(const Effects&) = delete;

  const std::vector<Knob>& knobs() const { return knobs_; }
  const Usage& base() const { return base_; }
  const Usage& of(size_t knob, const Choice& choice) const;  // nothing of its first value
  Usage sum(const Choice& choice) const;
  // The choice's sum without what changes with the knob's value, and that with it, or the bytes alone: who varies one
  // knob adds up the others once.
  Usage without(Usage sum, size_t knob, const Choice& choice) const { return add(sum, knob, choice, -1); }
  template <typename Sum>
  Sum with(Sum others, size_t knob, const Choice& choice) const {
    return add(others, knob, choice, 1);
  }

 private:
  bool is_first(size_t knob, const Choice& choice) const { return choice[knob] == knobs_[knob].values.front(); }
  template <typename Sum>
  Sum add(Sum sum, size_t knob, const Choice& choice, double times) const {
    for (const size_t k : changes_[knob])
      if (!is_first(k, choice)) sum.add(of(k, choice), times);
    return sum;
  }

  struct Known {  // by the knob's value and those with it; the last one is asked for most often
    std::unordered_map<uint64_t, Usage> all;
    uint64_t key = 0;
    const Usage* last = nullptr;
  };

  const std::vector<Knob>& knobs_;
  const Usage base_;
  const Change change_;
  std::vector<uint64_t> most_;                // by knob, one above its values
  std::vector<std::vector<size_t>> changes_;  // by knob, those whose effects change with its value: its own too
  mutable std::vector<Known> known_;          // by knob
};

}  // namespace tandem
