// Choices in the order of their estimated step time: those that are estimated to fit.
#pragma once

#include <set>

#include "core/plan/corrections.h"
#include "core/plan/estimate.h"

namespace tandem {

// Share of the estimated bytes by which a choice may be over, unless a plan like it was compiled; ten times as much in
// models so small that all choices are ranked. Smaller: plans that fit are never compiled. Larger: more are that do
// not.
constexpr double kError = 0.01;
// Share of a step's seconds that counts as none, and of those of copies that do: between choices that are as fast, the
// one that copies less. Smaller: ties are broken by chance, and more is tried in vain. Larger: slower plans are taken.
constexpr double kTie = 3e-4;
// Plans that are compiled before it is believed that none fits. Fewer: some that fit are not found. More: to find that
// nothing fits takes longer.
constexpr int kTries = 3;

struct MemoryBudget {
  double device = 0, host = 0;  // bytes
  bool holds(const Usage& usage) const { return usage.device() <= device && usage.host <= host; }
  double over(double device_bytes, double host_bytes) const {
    return std::max(0.0, device_bytes - device) + std::max(0.0, host_bytes - host);
  }
};
MemoryBudget budget_of(const Target& target);

// What a choice is estimated to take.
struct Score {
  double device = 0, over = 0, seconds = 0;  // over: bytes beyond the budgets
  double cost = 0;  // seconds, and a small share of those of copies, which may hold up what they hide behind

  bool fits() const { return over == 0; }
  bool operator<(const Score& other) const { return over != other.over ? over < other.over : cost < other.cost; }
};

struct Ranked : Score {
  Choice choice;
};

// Estimates, as corrected by what compiled plans took.
class Ranking {
 public:
  Ranking(const PlanRequest& request, const Effects& effects);  // both must outlive it

  // The best first. Where there are few choices, all of them; else those from which no move leads to a better one.
  std::vector<Ranked> best();
  const std::vector<Knob>& knobs() const { return knobs_; }
  bool ranks_all() const { return !every_.empty(); }
  double error() const;  // share of the estimated seconds by which a choice that is not best may be
  // From here on copies may run less far ahead than they do at first: estimates of that are too fast.
  void widen();
  // usage: of the compiled plan of the choice
  void correct(const Choice& choice, const Usage& usage);
  // The same of a plan that an earlier search compiled: others are not taken to be over the budget as it was.
  void know(const Choice& choice, const Usage& usage);
  // The choice with what costs least to make it fit beside so many bytes more.
  Choice with_less(const Choice& choice, double bytes) const;

 private:
  Score score(const Choice& choice) const { return score(choice, effects_.sum(choice)); }
  Score score(const Choice& choice, Usage estimate) const;
  const Corrections::Correction& correction(const Choice& choice) const;
  // Bytes beyond the budgets of an estimate to which the correction was added.
  double over(const Corrections::Correction& correction, const UsageBytes& corrected) const;
  // True if the choice's score would; estimate: effects_.sum of it.
  bool fits(const Choice& choice, UsageBytes estimate) const;
  Ranked rank(const Choice& choice) const { return {score(choice), choice}; }
  void enumerate();
  std::vector<Choice> starts() const;
  std::vector<uint32_t> moves_of(size_t knob, uint32_t value) const;
  Score set_to_least_that_fits(Choice& choice, size_t knob, const Usage& estimate) const;
  void move(const Ranked& from, size_t knob, uint32_t value, Ranked& best) const;
  Ranked filled(Ranked from) const;
  std::optional<Ranked> improved(Ranked from, std::set<Choice>& passed) const;
  std::vector<Ranked> moved();

  const std::vector<Knob>& knobs_;
  const uint32_t accumulation_;
  MemoryBudget budget_;
  const Effects& effects_;
  std::vector<Choice> every_;  // none where there are too many
  std::vector<Choice> found_;  // by moves, so far
  double slack_;
  bool wide_ = false;
  Corrections corrections_;
};

// plan_step, by estimates of the request, from the ranking's best.
StepPlan search_policies(const PlanRequest& request, const Estimator& estimator, Ranking ranking);

}  // namespace tandem
