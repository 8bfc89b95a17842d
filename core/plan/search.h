// Policies in the order of their estimated step time: those that are estimated to fit.
#pragma once

#include <functional>

#include "core/plan/estimate.h"

namespace tandem {

struct Ranked {
  Choice choice;
  Takes takes;  // estimated
  double seconds = 0;
};

struct Budget {
  double device = 0, host = 0;  // bytes
  bool holds(const Takes& takes) const { return takes.device <= device && takes.host <= host; }
};
Budget budget_of(const Target& target);

// What distinguishes policies whose estimates err alike: all but how many layers do what.
Choice family_of(const Choice& choice, uint32_t layers);

// Estimates, as corrected by what compiled plans took.
class Ranking {
 public:
  using Estimate = std::function<Takes(const Choice&)>;
  Ranking(const PlanRequest& request, Estimate estimate);

  // the policies that may fit the request's budgets, by estimates, fastest first
  std::vector<Ranked> fitting() const;
  // the one that is estimated to take least of the device's memory, of the host's no more than there is if that can be
  Ranked least() const;
  // takes: of a compiled plan
  void correct(const Choice& choice, const Takes& takes);

 private:
  Takes takes_of(const Choice& choice) const;
  bool may_fit(const Choice& choice, const Takes& takes) const;
  void fill(Choice choice, std::vector<Ranked>& out) const;
  void mix(const Choice& first, EnumSet<Recompute> rest, std::vector<Ranked>& out) const;
  void push(const Choice& choice, std::vector<Ranked>& out) const;

  uint32_t layers_, accumulation_;
  Budget budget_;
  Estimate estimate_;
  std::vector<EnumSet<Recompute>> sets_;      // none beaten by another in bytes and seconds; least bytes first
  std::vector<std::vector<Offload>> orders_;  // in which kinds go to the host
  std::vector<Choice> chunks_;                // counts of chunks, likewise
  std::map<Choice, Takes> corrections_;       // by family
};

}  // namespace tandem
