// Policies in the order of their estimated step time: those that are estimated to fit.
#pragma once

#include <functional>
#include <set>

#include "core/plan/estimate.h"

namespace tandem {

struct Ranked {
  Choice choice;
  Takes takes;  // estimated
  double seconds = 0;
};

struct MemoryBudget {
  double device = 0, host = 0;  // bytes
  bool holds(const Takes& takes) const { return takes.device() <= device && takes.host <= host; }
};
MemoryBudget budget_of(const Target& target);

// plan_step, by estimates of the request
StepPlan search_policies(const PlanRequest& request, std::shared_ptr<const Estimator> estimates);

// What distinguishes policies whose estimates err alike: all but how many layers do what. near: nor what they recompute
// and in how many chunks.
Choice family_of(const Choice& choice, uint32_t layers);
Choice near_family_of(const Choice& choice, uint32_t layers);

// Estimates, as corrected by what compiled plans took.
class Ranking {
 public:
  using Estimate = std::function<Takes(const Choice&)>;
  // slack: by what factor a policy may be over the device's budget, to be among those that may fit
  Ranking(const PlanRequest& request, Estimate estimate, double slack = 1);

  // The policies that may fit the request's budgets, by estimates, fastest first. Where there are few policies, all of
  // them; else a good part, and what steps from the fastest of it lead to.
  std::vector<Ranked> fitting() const;
  std::vector<Ranked> uniform_fitting() const;  // some of them that do alike in all layers
  bool ranks_all() const { return !every_.empty(); }
  // The choice not in `but` with the least estimated device memory, and if that can be no more of the host's than there
  // is if that can be; none where all are left out
  std::optional<Ranked> least(const std::set<Choice>& but = {}) const;
  // whether a policy near this one was compiled
  bool knows(const Choice& choice) const;
  // plans are to take so many bytes of the device less than there are
  void leave_room(double bytes) { room_ = bytes; }
  // From here on in layers copies run ahead: where none does, estimates are too fast.
  void keep_ahead() { ahead_ = true; }
  // takes: of a compiled plan
  void correct(const Choice& choice, const Takes& takes);

 private:
  struct Count {  // number of layers in a choice
    uint32_t* value;
    uint32_t most;
  };

  Takes corrected(const Choice& choice, Takes estimate) const;
  Takes takes_of(const Choice& choice) const;
  double slack_of(const Choice& choice) const;
  bool may_fit(const Choice& choice, const Takes& takes) const;
  void push(const Choice& choice, const Takes& takes, std::vector<Ranked>& out) const;
  void enumerate();
  void fill(const Choice& choice, std::vector<Ranked>& out) const;
  void fill_all(uint32_t distance, std::vector<Ranked>& out) const;
  void mix(const Choice& first, EnumSet<Recompute> rest, double& fastest, std::vector<Ranked>& out) const;
  uint32_t most_of(Offload kind) const;
  bool is_sensible(uint32_t whole) const;  // by bits, in the order of kinds_
  std::vector<Count> counts_of(Choice& choice) const;
  void consider(Choice choice, Ranked& best) const;
  void exchange(const Choice& from, Ranked& best) const;
  Ranked improved(Ranked from) const;

  uint32_t layers_, accumulation_;
  double slack_, room_ = 0;
  size_t starts_;
  bool remakes_, coarse_, ahead_ = false;
  MemoryBudget budget_;
  Estimate estimate_;
  std::vector<Offload> kinds_, zero_copy_kinds_;
  std::vector<EnumSet<Recompute>> all_sets_;
  std::vector<Choice> all_chunks_;        // counts of chunks, copies of all layers kept or remade
  std::vector<EnumSet<Recompute>> sets_;  // none beaten by another in bytes and seconds; least bytes first
  std::vector<Choice> chunks_;            // so for chunks
  std::vector<Ranked> every_;             // policy, not corrected; none where there are too many
  std::map<Choice, Takes> corrections_, near_corrections_;  // by family, by near family
};

}  // namespace tandem
