// What other batches would do: BatchAdvice of planner.h.
#include <algorithm>
#include <limits>
#include <map>

#include "core/base/parallel.h"
#include "core/base/size.h"
#include "core/model/head.h"
#include "core/plan/search.h"

namespace tandem {
namespace {

// A batch that takes so much longer than the best one has no better one behind it. Smaller, and the search ends in a
// batch whose neighbours alone are slower; larger, and it takes longer.
constexpr double kHopeless = 1.1;

class Advisor {
 public:
  Advisor(const PlanRequest& request, const StepPlan& plan)
      : request_(request), plan_(plan), estimates_(*plan.estimates) {
    while (!is_legal(unit_)) ++unit_;
    if (plan.fits()) planned_[request.shape.micro_batch] = plan.chosen.seconds();
  }

  BatchAdvice run() {
    BatchAdvice advice;
    advice.largest_micro_batch = largest();
    const uint32_t best = request_.sequences > 0 ? 0 : fastest();
    if (best == 0) return advice;
    advice.micro_batch = best;
    advice.accumulation = product() / best;
    advice.seconds = planned_.at(best);
    return advice;
  }

  // The micro_batch of the configured product that takes least; 0: none fits.
  uint32_t fastest() {
    const uint32_t configured = request_.shape.micro_batch;
    std::map<uint32_t, double> seconds;  // planned, or else estimated
    for (const auto& [b, planned] : planned_)
      if (product() % b == 0) seconds[b] = planned;
    for (const bool up : {true, false}) {  // from the configured one on, until one is much slower
      double best = plan_.fits() ? plan_.chosen.seconds() : kNever;
      for (uint32_t b = next(configured, up); b != 0 && b <= legal(b); b = next(b, up)) {
        if (!planned_.contains(b)) seconds[b] = estimated(b);
        if (seconds[b] > kHopeless * best) break;
        best = std::min(best, seconds[b]);
      }
    }
    for (int tries = 0; !seconds.empty(); ++tries) {
      const auto best = std::ranges::min_element(seconds, {}, &std::pair<const uint32_t, double>::second);
      if (best->second == kNever) return 0;
      const bool known = planned_.contains(best->first);
      // Estimates err by more than neighbours differ: both are planned before the best one is believed.
      const std::vector<uint32_t> next = known ? unplanned_beside(best->first) : std::vector{best->first};
      if (known && (next.empty() || tries >= kTries)) return best->first;
      if (tries >= kTries) {
        seconds.erase(best);
        continue;
      }
      plan(next);
      for (const uint32_t b : next) seconds[b] = planned_.at(b);
    }
    return 0;
  }

 private:
  static constexpr double kNever = std::numeric_limits<double>::infinity();

  uint32_t product() const { return request_.shape.micro_batch * request_.shape.accumulation; }

  bool is_legal(uint64_t micro_batch) const {
    return micro_batch * request_.shape.sequence_length % size_multiple(request_.precision.recipe) == 0;
  }

  // ---- one micro_batch ----

  PlanRequest request_of(uint32_t micro_batch) const {
    PlanRequest r = request_;
    r.coarse = true;
    r.shape.micro_batch = micro_batch;
    r.shape.accumulation = std::max(1u, product() / micro_batch);
    if (r.shape.head_chunks == choose_head_chunks(r.model, r.precision, request_.shape))
      r.shape.head_chunks = choose_head_chunks(r.model, r.precision, r.shape);
    // As planned; a step of several micro-steps releases nothing.
    if (!r.limits.release) r.limits.release = r.shape.accumulation == 1 ? plan_.chosen.policy.release : Release::none;
    return r;
  }

  // estimates of one micro_batch
  struct Batch {
    Batch(PlanRequest r, Estimates& estimates)
        : request(std::move(r)), estimator(estimates.of(request)), ranking(request, estimator.effects()) {}
    Batch(const Batch&) = delete;
    Batch& operator=(const Batch&) = delete;

    Usage sum(const Choice& choice) const { return estimator.effects().sum(choice); }
    Usage effect(size_t knob, const Choice& choice) const { return estimator.effects().of(knob, choice); }

    PlanRequest request;
    const Estimator& estimator;
    Ranking ranking;
  };

  Batch& batch(uint32_t micro_batch) { return batch(request_of(micro_batch)); }

  Batch& batch(const PlanRequest& request) {
    std::unique_ptr<Batch>& slot = batches_[{request.shape.micro_batch, release_of(request)}];
    if (!slot) slot = std::make_unique<Batch>(request, estimates_);
    return *slot;
  }

  // The micro_batch in steps that release as those of other do, so that choices have the same knobs.
  Batch& batch_like(uint32_t micro_batch, const Batch& other) {
    PlanRequest r = request_of(micro_batch);
    if (release_of(r) != release_of(other.request)) {
      r.limits.release = other.request.limits.release;
      r.shape.accumulation = other.request.shape.accumulation;
    }
    return batch(r);
  }

  // by estimates, of the fastest policy that fits; infinity where none does
  double estimated(uint32_t micro_batch) {
    const auto [found, fresh] = estimated_.try_emplace(micro_batch, kNever);
    if (!fresh) return found->second;
    const Ranked best = batch(micro_batch).ranking.best().front();
    return found->second = best.fits() ? best.seconds : kNever;
  }

  // Plans each as plan_step does, but for the recompute sets that it tries; side by side.
  void plan(const std::vector<uint32_t>& micro_batches) {
    std::vector<double> seconds(micro_batches.size(), kNever);
    std::vector<const Batch*> planned;
    planned.reserve(micro_batches.size());
    for (const uint32_t b : micro_batches) planned.push_back(&batch(b));
    parallel_for(seconds.size(), 1, [&](uint64_t first, uint64_t last) {
      for (uint64_t i = first; i < last; ++i) {
        const Batch& b = *planned[i];
        const StepPlan plan = search_policies(b.request, b.estimator, b.ranking);
        if (plan.fits()) seconds[i] = plan.chosen.seconds();
      }
    });
    for (size_t i = 0; i < seconds.size(); ++i) planned_[micro_batches[i]] = seconds[i];
  }

  // ---- the fastest of the configured product ----

  // the next divisor of the product; 0: none
  uint32_t next(uint32_t b, bool up) const {
    for (b += up ? 1 : -1; b >= 1 && b <= product(); b += up ? 1 : -1)
      if (product() % b == 0 && is_legal(b)) return b;
    return 0;
  }

  std::vector<uint32_t> unplanned_beside(uint32_t b) const {
    std::vector<uint32_t> list;
    for (const bool up : {false, true})
      if (const uint32_t beside = next(b, up); beside != 0 && beside <= legal(beside) && !planned_.contains(beside))
        list.push_back(beside);
    return list;
  }

  // ---- the largest that fits ----

  // operands stay below 2^32 elements and within what the device allocates at once, logits too in as many chunks as the
  // configuration or kMostParts says
  uint32_t legal(double micro_batch) const {
    const double length = request_.shape.sequence_length;
    const double element = double(size_of(request_.precision.compute()));
    double most = std::min(double(UINT32_MAX), double(request_.target.largest_arena) / element) /
                  (length * double(widest_row(request_.model)));
    const double rows = double(most_chunk_rows(request_.model));
    if (rows < kHeadChunkRows) most = std::min(most, rows / length);
    else most = std::min(most, request_.limits.lm_head_chunks.value_or(kMostParts) * rows / length);
    const uint32_t b = uint32_t(std::clamp(micro_batch, 1.0, std::max(1.0, most)));
    return b / unit_ * unit_;
  }

  uint32_t halved(uint32_t b) const { return b / 2 / unit_ * unit_; }
  bool may_fit(uint32_t b) { return estimated(b) < kNever; }

  // By doubling or halving, then between two of them.
  uint32_t largest() {
    const uint32_t configured = request_.shape.micro_batch;
    uint32_t low = plan_.fits() ? configured : 0, high = plan_.fits() ? legal(2.0 * configured) : configured;
    if (low > 0)
      for (; high > low && may_fit(high); high = legal(2.0 * high)) low = high;
    else
      for (low = halved(high); low > 0 && !may_fit(low); low = halved(low)) high = low;
    for (int tries = 0; tries < kTries && low > 0; ++tries) {
      if (const uint32_t found = largest_between(low, high); found > 0) return found;
      if (low == configured) break;
      high = low;
      low = halved(low);
    }
    return plan_.fits() ? configured : 0;
  }

  // In [low, high), by estimates: what policies take is in proportion to the micro_batch, but for what stays. What a
  // compiled plan takes beyond the budgets is left free by the next one. 0: what they find does not fit.
  uint32_t largest_between(uint32_t low, uint32_t high) {
    const uint32_t last = std::max(high, low + 1);
    PlanRequest lean = request_of(last);
    const MemoryBudget budget = budget_of(lean.target);
    uint32_t fails = last;              // known or taken not to fit
    std::pair<uint32_t, Choice> tried;  // last
    for (int tries = 0; tries <= kTries; ++tries) {
      const auto [fits, best] = largest_estimated(low, last, fails, lean);
      if (fits == low) break;
      const bool again = tried == std::pair(fits, best.choice);
      tried = {fits, best.choice};
      const std::optional<Usage> usage =
          again ? std::nullopt : compiled(batch(last).estimator.knobs(), best.choice, fits);
      if (usage && budget.holds(*usage)) return fits;
      if (!usage) fails = fits;
      else leave_free(lean.target, budget.over(usage->device(), 0), budget.over(0, usage->host));
    }
    return low == request_.shape.micro_batch || compiles(batch(low).ranking, low) ? low : 0;
  }

  static void leave_free(Target& target, double device, double host) {
    target.memory_bytes -= std::min(target.memory_bytes, uint64_t(device));
    if (host > 0) target.host_memory_bytes -= std::min(target.host_memory_bytes - 1, uint64_t(host));  // 0: no limit
  }

  // The largest micro_batch in [low, fails) that is estimated to fit, and its best policy; low: no other is.
  std::pair<uint32_t, Ranked> largest_estimated(uint32_t low, uint32_t last, uint32_t fails, const PlanRequest& lean) {
    std::pair<uint32_t, Ranked> found{low, {}};
    while (fails - found.first > unit_) {
      const uint32_t middle = found.first + (fails - found.first) / 2 / unit_ * unit_;
      Ranked best = between(low, last, middle, lean).ranking.best().front();
      if (best.fits()) found = {middle, std::move(best)};
      else fails = middle;
    }
    return found;
  }

  // Choices of a batch between two others.
  struct Between {
    Between(const Batch& less, const Batch& more, const PlanRequest& request, double share)
        : effects(more.estimator.knobs(),
                  mixed(less.sum(more.estimator.base()), more.sum(more.estimator.base()), share),
                  [&less, &more, share](size_t knob, const Choice& choice) {
                    Choice without = choice;
                    without[knob] = more.estimator.base()[knob];
                    const auto change = [&](const Batch& batch) {
                      return Usage(batch.effect(knob, choice)).add(batch.effect(knob, without), -1);
                    };
                    return mixed(change(less), change(more), share);
                  }),
          ranking(request, effects) {}
    Between(const Between&) = delete;
    Between& operator=(const Between&) = delete;
    static Usage mixed(Usage less, const Usage& more, double share) { return less.add(less, -share).add(more, share); }

    Effects effects;
    Ranking ranking;
  };

  // request: that of high, its budgets aside
  Between between(uint32_t low, uint32_t high, uint32_t micro_batch, const PlanRequest& request) {
    const Batch& more = batch(high);
    return {batch_like(low, more), more, request, double(micro_batch - low) / (high - low)};
  }

  // What the choice takes with a micro_batch; nullopt: a value is larger than the device allocates at once.
  std::optional<Usage> compiled(const std::vector<Knob>& knobs, const Choice& choice, uint32_t micro_batch) const {
    const PlanRequest r = request_of(micro_batch);
    const MemoryPolicy policy = policy_of(knobs, choice, r.model.layers);
    const Compiled compiled = compile_step(r, policy, without_budget(r.target), Checks::without);
    if (!compiled.memory.fits()) return {};
    return usage_of(compiled, r.target);
  }

  // whether one of the ranking's first policies fits once it is compiled
  bool compiles(Ranking& ranking, uint32_t micro_batch) const {
    for (int tries = 0; tries < kTries; ++tries) {
      const Ranked best = ranking.best().front();
      if (!best.fits()) break;
      const std::optional<Usage> usage = compiled(ranking.knobs(), best.choice, micro_batch);
      if (!usage) break;
      if (budget_of(request_.target).holds(*usage)) return true;
      ranking.correct(best.choice, *usage);
    }
    return false;
  }

  const PlanRequest& request_;
  const StepPlan& plan_;
  Estimates& estimates_;
  uint32_t unit_ = 1;                                                       // a micro_batch is a multiple of it
  std::map<std::pair<uint32_t, Release>, std::unique_ptr<Batch>> batches_;  // by micro_batch
  std::map<uint32_t, double> estimated_, planned_;  // seconds by micro_batch; infinity: does not fit
};

}  // namespace

uint32_t fastest_micro_batch(const PlanRequest& request, const StepPlan& plan) {
  return Advisor(request, plan).fastest();
}

BatchAdvice advise_batch(const PlanRequest& request, const StepPlan& plan) {
  return Advisor(request, plan).run();
}

}  // namespace tandem
