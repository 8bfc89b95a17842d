#include "core/plan/planner.h"

#include <algorithm>
#include <set>

#include "core/base/parallel.h"
#include "core/plan/search.h"
#include "core/program/verify.h"

namespace tandem {
namespace {

// Nodes of the graphs that a search compiles whole, half as many for a coarse one, and for variations of the best plan;
// a rank's share of them where there are several, whose plans differ less and take longer. Fewer: large models run what
// estimates say. More: planning takes longer.
constexpr size_t kNodes = 100000;

struct Attempt {
  Choice choice;
  PlannedPolicy planned;
  Usage usage;
  Compiled compiled;
};

Attempt attempt(const PlanRequest& request, const std::vector<Knob>& knobs, const Choice& choice) {
  const MemoryPolicy policy = policy_of(knobs, choice, request.model.layers);
  Attempt a{choice,
            {policy, 0, 0, {}, false},
            {},
            compile_step(request, policy, without_budget(request.target), Checks::without)};
  const auto turns = costs_of_turns(a.compiled.program, request.target.rates, Exposed::without);
  a.usage = usage_of(a.compiled, request.target, turns);
  a.planned.cost = cost_of_step(a.compiled.program, turns);
  a.planned.device_bytes = device_bytes(a.compiled.memory, request.target);
  a.planned.host_bytes = a.compiled.memory.host_bytes;
  a.planned.fits = a.compiled.memory.fits() && budget_of(request.target).holds(a.usage);
  return a;
}

class Search {
 public:
  Search(const PlanRequest& request, const Estimator& estimator, Ranking ranking)
      : request_(request),
        estimator_(estimator),
        knobs_(estimator_.knobs()),
        ranking_(std::move(ranking)),
        most_(request.sharding.ranks > 1 ? kNodes / 2 : kNodes) {}

  StepPlan run() {
    compile_best(most_ / 2);
    if (!request_.coarse) {
      ranking_.widen();
      compile_best(most_);
    }
    if (best_->planned.fits && !ranking_.ranks_all() && !request_.coarse) vary(nodes_ + most_ / 2);
    StepPlan plan{std::move(best_->planned), {}, std::move(best_->compiled), {}, compiles_, request_.coarse, {}};
    if (!plan.coarse) {
      if (plan.compiled->memory.fits()) verify_whole(plan.compiled->program, request_.target);
      plan.chosen.cost = cost_of_step(plan.compiled->program, request_.target.rates);
      plan.floor = floor_of(request_);
    }
    constexpr size_t kRunnersUp = 5;
    std::ranges::stable_sort(others_, {}, [](const PlannedPolicy& p) { return p.seconds(); });
    for (PlannedPolicy& other : others_)
      if (other.fits && plan.runners_up.size() < kRunnersUp) plan.runners_up.push_back(std::move(other));
    return plan;
  }

 private:
  // The best by estimates, which are corrected each time, until so many nodes are compiled or one is the best.
  void compile_best(size_t most) {
    while (nodes_ < (best_ && best_->planned.fits ? most : 2 * most)) {
      std::vector<Attempt> pair = attempt_all(next_choices());
      if (pair.empty()) break;
      std::ranges::reverse(pair);  // The last one counts among corrections as near: the best one's.
      for (Attempt& a : pair) {
        ranking_.correct(a.choice, a.usage);
        estimator_.add_known(a.choice, a.usage);
        take(std::move(a));
      }
    }
  }

  // Compiles two side by side, whatever the processors: more would take memory.
  std::vector<Attempt> attempt_all(const std::vector<Choice>& choices) const {
    std::vector<Attempt> made(choices.size());
    parallel_for(choices.size(), 1, [&](uint64_t first, uint64_t last) {
      for (uint64_t i = first; i < last; ++i) made[i] = attempt(request_, knobs_, choices[i]);
    });
    return made;
  }

  // The two best by estimates, as far as they may be better than what is found.
  std::vector<Choice> next_choices() {
    std::vector<Choice> next;
    for (const Ranked& ranked : ranking_.best()) {
      const bool found = best_ && best_->planned.fits;
      if (found && (!ranked.fits() || ranked.seconds >= (1 + ranking_.error()) * best_->planned.seconds())) break;
      if (!ranked.fits() && compiles_ + next.size() >= uint32_t(kTries) && !ranking_.ranks_all()) break;
      if (!is_tried(ranked.choice)) add_to(next, ranked.choice);
      if (next.size() == 2) break;
    }
    return next;
  }

  MemoryPolicy policy(const Choice& choice) const { return policy_of(knobs_, choice, request_.model.layers); }
  bool is_tried(const Choice& choice) const { return std::ranges::find(tried_, policy(choice)) != tried_.end(); }
  void add_to(std::vector<Choice>& next, const Choice& choice) {
    tried_.push_back(policy(choice));
    next.push_back(choice);
  }

  // Where a value is larger than the device allocates at once, no other choice helps.
  void take(Attempt a) {
    ++compiles_;
    nodes_ += a.compiled.memory.fits() ? a.compiled.graph.nodes().size() : most_;
    if (best_ && !is_better(a.planned, best_->planned)) {
      others_.push_back(std::move(a.planned));
    } else {
      if (best_) others_.push_back(std::move(best_->planned));
      best_ = std::move(a);
    }
  }

  // The best choice with another value of a knob.
  struct Variation {
    size_t knob = 0;
    Choice choice;
    bool refilled = false;

    uint32_t value() const { return choice[knob]; }
  };

  // Tries values on the best one that are not estimated, two at a time, as long as one is faster. What would be faster
  // but does not fit is tried once more, filled.
  void vary(size_t most) {
    std::set<std::pair<size_t, uint32_t>> slower;  // values of knobs
    for (bool faster = true; faster && nodes_ < most;) {
      const PlannedPolicy before = best_->planned;
      const Choice from = best_->choice;
      std::vector<Variation> list = variations();
      std::erase_if(list, [&](const Variation& v) {
        return slower.contains({v.knob, v.value()}) || is_tried(v.choice);
      });
      faster = false;
      for (size_t first = 0; first < list.size() && nodes_ < most; first += 2) {
        std::vector<Choice> choices;
        for (size_t i = first; i < std::min(first + 2, list.size()); ++i) add_to(choices, list[i].choice);
        std::vector<Attempt> pair = attempt_all(choices);
        for (size_t i = 0; i < pair.size(); ++i) {
          const Variation tried = list[first + i];
          const PlannedPolicy& planned = pair[i].planned;
          const bool is_faster = planned.seconds() < (1 - kTie) * before.seconds();
          if (is_faster && planned.fits) faster = true;
          else slower.insert({tried.knob, tried.value()});
          if (is_faster && !planned.fits && !tried.refilled)
            list.push_back(refilled(from, tried, double(planned.device_bytes) - double(before.device_bytes)));
          take(std::move(pair[i]));
        }
      }
    }
  }

  // The variation, which takes so many bytes more than the best one, of a choice that leaves room for them.
  Variation refilled(const Choice& best, const Variation& tried, double more) const {
    Variation v{tried.knob, ranking_.with_less(best, more), true};
    v.choice[v.knob] = tried.value();
    return v;
  }

  // The least value of each knob that is tried above the best one's.
  std::vector<Variation> variations() const {
    std::vector<Variation> list;
    for (size_t k = 0; k < knobs_.size(); ++k) {
      const uint32_t value = best_->choice[k];
      const auto next = std::ranges::upper_bound(knobs_[k].tried, value);
      if (next == knobs_[k].tried.end() || (knobs_[k].counts() && value == 0)) continue;
      list.push_back({k, best_->choice});
      list.back().choice[k] = *next;
    }
    return list;
  }

  bool is_better(const PlannedPolicy& a, const PlannedPolicy& b) const {
    const MemoryBudget budget = budget_of(request_.target);
    const auto over = [&](const PlannedPolicy& p) { return budget.over(double(p.device_bytes), double(p.host_bytes)); };
    if (a.fits != b.fits) return a.fits;
    return a.fits ? a.seconds() < b.seconds() : over(a) < over(b);
  }

  const PlanRequest& request_;
  const Estimator& estimator_;
  const std::vector<Knob>& knobs_;
  Ranking ranking_;
  std::vector<MemoryPolicy> tried_;  // or about to be
  std::optional<Attempt> best_;      // the fastest that fits, or else the one that is least over
  std::vector<PlannedPolicy> others_;
  const size_t most_;  // nodes
  size_t nodes_ = 0;
  uint32_t compiles_ = 0;
};

}  // namespace

// From models of few layers: costs are linear in the layers below adapters and in the others, to the last instruction.
ProgramCost floor_of(const PlanRequest& request) {
  const uint32_t below = request.lora.first_layer(), from = request.model.layers - below;
  const uint32_t few_below = std::min(below, 1u), few = std::min(from, 2u);
  MemoryPolicy policy;
  policy.lm_head_chunks = head_chunk_counts(request).front();
  const auto cost = [&](uint32_t n, uint32_t m) {
    const Compiled compiled = compile_step(with_layers(request, n, m), policy, without_budget(request.target));
    return cost_of_step(compiled.program, request.target.rates);
  };
  const ProgramCost less = cost(few_below, few);
  ProgramCost floor = less;
  const auto add_layers = [&](const ProgramCost& more, uint32_t times) {
    floor.add(more, times).add(less, -int64_t(times));
  };
  if (below > few_below) add_layers(cost(few_below + 1, few), below - few_below);
  if (from > few) add_layers(cost(few_below, few + 1), from - few);
  return floor;
}

StepPlan plan_step(const PlanRequest& request, std::shared_ptr<Estimates> estimates) {
  std::optional<StepPlan> best;
  for (const Release release : releases(request)) {
    if (release == Release::twice && best && best->fits()) break;
    const PlanRequest one = with_release(request, release);
    const Estimator& estimator = estimates->of(one);
    Ranking ranking(one, estimator.effects());
    for (const auto& [choice, usage] : estimator.known()) ranking.know(choice, usage);
    StepPlan plan = search_policies(one, estimator, std::move(ranking));
    if (!best || plan.fits() > best->fits() ||
        (plan.fits() == best->fits() && plan.chosen.seconds() < best->chosen.seconds()))
      best = std::move(plan);
  }
  best->estimates = std::move(estimates);
  return std::move(*best);
}

StepPlan search_policies(const PlanRequest& request, const Estimator& estimator, Ranking ranking) {
  return Search(request, estimator, std::move(ranking)).run();
}

}  // namespace tandem
