#include "core/plan/planner.h"

#include <algorithm>
#include <set>

#include "core/base/parallel.h"
#include "core/plan/search.h"
#include "core/program/verify.h"

namespace tandem {
namespace {

constexpr size_t kCompiledNodes = 100000;  // nodes of the graphs that a search compiles in full
constexpr size_t kCoarseNodes = 60000;     // nodes for a coarse one
constexpr size_t kAheadNodes = 60000;      // nodes of policies whose copies run ahead, where the best one's do not
constexpr size_t kVariedNodes = 50000;     // nodes of variations of the best one
constexpr size_t kRunnersUp = 5;
constexpr double kSlack = 1.01;  // times the estimated bytes, as long as little was compiled
constexpr double kError = 0.03;  // share of the estimated seconds, in models so small that all policies are ranked
constexpr int kRoomTries = 2;    // where none fitted, with room for what the estimates erred by
constexpr int kLeastTries = 3;
constexpr double kNewError = 0.02;  // share of the estimated seconds of policies that none was compiled like
constexpr int kNewTries = 2;
constexpr uint32_t kFurthest = 4;      // prefetch distance that is tried
constexpr double kWorthTrying = 2e-4;  // share of a step's seconds that one more variation may win

struct Attempt {
  Choice choice;
  PlannedPolicy planned;
  Takes takes;
  Compiled compiled;
};

Attempt attempt(const PlanRequest& request, const Choice& choice) {
  const MemoryPolicy policy = policy_of(choice, request.model.layers, release_of(request));
  Attempt a{choice,
            {policy, 0, 0, {}, false},
            {},
            compile_step(request, policy, without_budget(request.target), Checks::without)};
  a.takes = takes_of(a.compiled, request.target);
  a.planned.device_bytes = device_bytes(a.compiled.memory, request.target);
  a.planned.host_bytes = a.compiled.memory.host_bytes;
  a.planned.cost = cost_of_step(a.compiled.program, request.target.rates);
  a.planned.fits = a.compiled.memory.fits() && budget_of(request.target).holds(a.takes);
  return a;
}

class Search {
 public:
  Search(const PlanRequest& request, std::shared_ptr<const Estimator> estimator)
      : request_(request),
        estimator_(std::move(estimator)),
        ranking_(
            request, [this](const Choice& choice) { return estimator_->estimate(choice); },
            request.coarse ? 1 : kSlack) {}

  StepPlan run() {
    compile_fastest(request_.coarse ? kCoarseNodes : kCompiledNodes);
    if (best_ && best_->choice.distance == 0 && !ranking_.ranks_all() && !request_.coarse) {
      ranking_.keep_ahead();
      compile_fastest(nodes_ + kAheadNodes);
    }
    for (int tries = 0; tries < kRoomTries && worst_over_ > 0 && !(best_ && best_->planned.fits); ++tries) {
      ranking_.leave_room(worst_over_);
      const std::optional<Choice> next = next_choice();
      if (!next) break;
      learn(*next);
    }
    if (best_ && best_->planned.fits && !ranking_.ranks_all() && !request_.coarse) vary();
    const size_t most = nodes_ + (ranking_.ranks_all() ? kCompiledNodes : 0);
    for (int tries = 0;
         (tries < (request_.coarse ? 1 : kLeastTries) || nodes_ < most) && (!best_ || !best_->planned.fits); ++tries) {
      const std::optional<Ranked> least = ranking_.least(tried_);
      if (!least) break;
      learn(least->choice);
    }
    StepPlan plan{std::move(best_->planned), {}, std::move(best_->compiled), {}, compiles_, estimator_};
    if (!request_.coarse) {  // a coarse plan is compared, and never runs
      if (plan.compiled->memory.fits()) verify_whole(plan.compiled->program, request_.target);
      plan.floor = floor_of(request_);
    }
    std::ranges::stable_sort(others_, {}, [](const PlannedPolicy& p) { return p.seconds(); });
    for (PlannedPolicy& other : others_)
      if (other.fits && plan.runners_up.size() < kRunnersUp) plan.runners_up.push_back(std::move(other));
    return plan;
  }

 private:
  // Until so many nodes are compiled.
  void compile_fastest(size_t most) {
    while (nodes_ < most) {
      const std::optional<Choice> next = next_choice();
      if (!next) break;
      learn(*next);
    }
  }

  // the fastest by its estimate that was not compiled yet; none when the best one compiled is as fast
  std::optional<Choice> next_choice() {
    const double error = ranking_.ranks_all() ? kError : 0;
    for (const Ranked& ranked : ranking_.fitting()) {
      if (tried_.contains(ranked.choice)) continue;
      const double slower = best_ && best_->planned.fits ? ranked.seconds / best_->planned.seconds() - 1 : -1;
      if (slower < error) return ranked.choice;
      if (slower >= kNewError || new_tries_ == kNewTries || request_.coarse) return {};
      if (!ranking_.knows(ranked.choice)) return ++new_tries_, ranked.choice;
    }
    return {};
  }

  // Where a value is larger than the device allocates at once, no other choice helps.
  void take(Attempt a) {
    tried_.insert(a.choice);
    ++compiles_;
    nodes_ += a.compiled.memory.fits() ? a.compiled.graph.nodes().size() : kCompiledNodes;
    worst_over_ = std::max(worst_over_, a.takes.device() - budget_of(request_.target).device);
    if (best_ && !is_better(a.planned, best_->planned)) {
      others_.push_back(std::move(a.planned));
    } else {
      if (best_) others_.push_back(std::move(best_->planned));
      best_ = std::move(a);
    }
  }

  // compiles it, and corrects the estimates of what is like it
  void learn(const Choice& choice) {
    Attempt a = attempt(request_, choice);
    ranking_.correct(choice, a.takes);
    take(std::move(a));
  }

  // Two at a time, whatever the processors: more of them would take memory.
  void compile(const std::vector<Choice>& choices, size_t most) {
    for (size_t first = 0; first < choices.size() && nodes_ < most; first += 2) {
      std::array<std::optional<Attempt>, 2> pair;
      const size_t count = std::min(pair.size(), choices.size() - first);
      parallel_for(count, 1, [&](uint64_t from, uint64_t to) {
        for (uint64_t i = from; i < to; ++i) pair[i] = attempt(request_, choices[first + i]);
      });
      for (size_t i = 0; i < count; ++i) take(std::move(*pair[i]));
    }
  }

  // Copies that run further ahead, and states read where they are: few to try on the best one, many to estimate.
  void vary() {
    const size_t most = nodes_ + kVariedNodes;
    for (double gain = 1; gain > kWorthTrying && nodes_ < most;) {
      const double before = best_->planned.seconds();
      std::vector<Choice> untried = variations();
      std::erase_if(untried, [&](const Choice& choice) { return tried_.contains(choice); });
      compile(untried, most);
      gain = 1 - best_->planned.seconds() / before;
    }
  }

  // Variations of the best one, where there is something to win
  std::vector<Choice> variations() const {
    const auto& [begin, micro_step, update] = best_->takes.ranges;
    const double worth = kWorthTrying * best_->planned.seconds();
    std::vector<Choice> list;
    const auto next = [&]() -> Choice& { return list.emplace_back(best_->choice); };
    const auto& staged = best_->takes.staging;
    const double now = std::max(staged[size_t(Range::micro_step)], staged[Takes::kBackward]);
    const double d = best_->choice.distance, further = now * (2 * d + 3) / (2 * d + 1);
    if (d < kFurthest && request_.shape.accumulation * micro_step.latency > worth &&
        best_->takes.device() - now + further <= kSlack * budget_of(request_.target).device)
      ++next().distance;
    if (best_->choice.update_distance < kFurthest && begin.latency + update.latency > worth) ++next().update_distance;
    // Where some layers remake their copies, all may: estimates of mixtures are the least sure.
    if (const uint32_t layers = request_.model.layers; best_->choice.remade > 0 && best_->choice.remade < layers) {
      Choice& all = next();
      all.remade = layers;
      all.transposed = false;
      all.offloaded[size_t(Offload::copies)] = 0;
    }
    EnumSet<Offload> states;
    for (const Offload kind : zero_copy_kinds(request_))
      if (best_->choice.offloaded[size_t(kind)] > 0) states.insert(kind);
    if (!states.empty()) next().zero_copy = states;
    for (const Offload kind : zero_copy_kinds(request_))
      if (states.contains(kind)) next().zero_copy.toggle(kind);
    return list;
  }

  bool is_better(const PlannedPolicy& a, const PlannedPolicy& b) const {
    if (a.fits != b.fits) return a.fits;
    return a.fits ? a.seconds() < b.seconds() : over(a) < over(b);
  }

  double over(const PlannedPolicy& p) const {
    const MemoryBudget budget = budget_of(request_.target);
    return std::max(0.0, double(p.device_bytes) - budget.device) + std::max(0.0, double(p.host_bytes) - budget.host);
  }

  const PlanRequest& request_;
  std::shared_ptr<const Estimator> estimator_;
  Ranking ranking_;
  std::set<Choice> tried_;
  std::optional<Attempt> best_;  // the fastest that fits, or else the one that is least over
  std::vector<PlannedPolicy> others_;
  double worst_over_ = 0;  // bytes of the device's that a compiled plan took too many
  size_t nodes_ = 0;
  uint32_t compiles_ = 0;
  int new_tries_ = 0;
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

StepPlan plan_step(const PlanRequest& request) {
  std::optional<StepPlan> best;
  for (const Release release : releases(request)) {
    if (release == Release::twice && best && best->fits()) break;
    const PlanRequest one = with_release(request, release);
    StepPlan plan = search_policies(one, std::make_shared<Estimator>(one));
    if (!best || plan.fits() > best->fits() ||
        (plan.fits() == best->fits() && plan.chosen.seconds() < best->chosen.seconds()))
      best = std::move(plan);
  }
  return std::move(*best);
}

StepPlan search_policies(const PlanRequest& request, std::shared_ptr<const Estimator> estimates) {
  return Search(request, std::move(estimates)).run();
}

}  // namespace tandem
