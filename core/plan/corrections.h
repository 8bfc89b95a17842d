// What compiled plans took beyond their estimates, for choices like theirs.
#pragma once

#include <unordered_map>

#include "core/plan/knobs.h"
#include "core/plan/usage.h"

namespace tandem {

// In how many knobs two choices differ.
size_t differ(const Choice& a, const Choice& b);

class Corrections {
 public:
  struct Correction {
    Usage error;
    bool same = false;  // the choice has that family, which is else the nearest one
  };
  // knobs must outlive it.
  Corrections(const std::vector<Knob>& knobs, uint32_t layers);

  bool empty() const { return all_.empty(); }
  void add(const Choice& choice, const Usage& error);
  // The error of the choice's family, or else, unless only that counts, of the one that differs in the fewest knobs.
  const Correction& of(const Choice& choice, bool only_same) const;

 private:
  struct Known {
    Choice family;
    MemoryPolicy policy;  // the family's, for few layers
    Usage error;
  };
  uint32_t family_value(size_t knob, uint32_t value) const;
  Choice family_of(const Choice& choice) const;

  const std::vector<Knob>& knobs_;
  uint32_t layers_;
  std::vector<uint64_t> most_;  // by knob, one above the values that families have
  std::vector<Known> all_;
  mutable std::unordered_map<uint64_t, Correction> nearest_;  // by family; filled when first asked for
};

}  // namespace tandem
