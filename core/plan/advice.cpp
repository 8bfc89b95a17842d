// What other batches would do: BatchAdvice of planner.h.
#include <algorithm>
#include <limits>
#include <map>

#include "core/plan/search.h"

namespace tandem {
namespace {

constexpr uint32_t kMostChunks = 128;  // of the LM head, where the configured batch has no more
constexpr int kTries = 5;              // batches compiled in full for the largest one

// Estimates of one micro_batch.
struct Batch {
  explicit Batch(PlanRequest r)
      : request(std::move(r)),
        estimator(request),
        ranking(request, [this](const Choice& choice) { return estimator.estimate(choice); }) {}
  Batch(const Batch&) = delete;
  Batch& operator=(const Batch&) = delete;

  PlanRequest request;
  Estimator estimator;
  Ranking ranking;
};

class Advisor {
 public:
  explicit Advisor(const PlanRequest& request) : request_(request) {
    while (!is_legal(unit_)) ++unit_;
  }

  BatchAdvice run() {
    BatchAdvice advice;
    advice.largest_micro_batch = largest();
    const uint32_t configured = request_.shape.micro_batch;
    uint32_t best = configured;
    for (const bool up : {true, false})  // from the configured one on, as long as it gets better
      for (uint32_t b = next(best, up); b != 0 && b <= advice.largest_micro_batch && seconds(b) < seconds(best);
           b = next(b, up))
        best = b;
    if (seconds(best) < std::numeric_limits<double>::infinity()) {
      advice.micro_batch = best;
      advice.accumulation = product() / best;
      advice.seconds = seconds(best);
    }
    return advice;
  }

 private:
  uint32_t product() const { return request_.shape.micro_batch * request_.shape.accumulation; }

  bool is_legal(uint64_t micro_batch) const {
    return !request_.precision.fp8() || micro_batch * request_.shape.sequence_length % 16 == 0;
  }

  // the next divisor of the product; 0: none
  uint32_t next(uint32_t b, bool up) const {
    for (b += up ? 1 : -1; b >= 1 && b <= product(); b += up ? 1 : -1)
      if (product() % b == 0 && is_legal(b)) return b;
    return 0;
  }

  Batch& batch(uint32_t micro_batch) {
    std::unique_ptr<Batch>& slot = batches_[micro_batch];
    if (!slot) {
      PlanRequest r = request_;
      r.coarse = true;
      r.shape.micro_batch = micro_batch;
      r.shape.accumulation = std::max(1u, product() / micro_batch);
      const uint64_t logits = uint64_t(r.shape.rows()) * (request_.model.vocabulary + 15);
      if (!r.limits.lm_head_chunks)
        r.shape.head_chunks = uint32_t(std::clamp<uint64_t>(
            uint64_t(request_.shape.head_chunks) * micro_batch / request_.shape.micro_batch, (logits >> 31) + 1,
            std::max({uint64_t{kMostChunks}, uint64_t{request_.shape.head_chunks}, (logits >> 31) + 1})));
      slot = std::make_unique<Batch>(std::move(r));
    }
    return *slot;
  }

  double seconds(uint32_t micro_batch) {
    const auto found = seconds_.find(micro_batch);
    if (found != seconds_.end()) return found->second;
    const std::vector<Ranked> ranked = batch(micro_batch).ranking.fitting();
    return seconds_[micro_batch] = ranked.empty() ? std::numeric_limits<double>::infinity() : ranked.front().seconds;
  }

  // By how much the least policy of a micro_batch is over the budget, in bytes; below 0: it fits. Compiled in full.
  double over(uint32_t micro_batch) {
    Batch& b = batch(micro_batch);
    const Choice choice = b.ranking.least().choice;
    const Compiled compiled = compile_step(b.request.model, b.request.precision, b.request.optimizer, b.request.shape,
                                           policy_of(choice, b.request.model.layers), without_budget(b.request.target));
    const Takes takes = takes_of(compiled, b.request.target);
    const Budget budget = budget_of(b.request.target);
    return std::max(takes.device - budget.device, takes.host - budget.host);
  }

  // operands stay below 2^32 elements, logits too where the configuration fixes their chunks
  uint32_t legal(double micro_batch) const {
    const double length = request_.shape.sequence_length;
    double most = UINT32_MAX / (length * double(widest_row(request_.model)));
    if (const auto chunks = request_.limits.lm_head_chunks)
      most = std::max(1.0, std::min(most, *chunks * (UINT32_MAX / 2) / (length * (request_.model.vocabulary + 15.0))));
    const uint32_t b = uint32_t(std::clamp(micro_batch, 1.0, std::max(1.0, most)));
    return b / unit_ * unit_;
  }

  // Bytes grow in proportion to the micro_batch, but for what stays: two points give the third.
  uint32_t largest() {
    std::map<uint32_t, double> points;
    uint32_t fitting = 0, guess = request_.shape.micro_batch;
    for (int tries = 0; tries < kTries && guess != 0 && !points.contains(guess); ++tries) {
      points[guess] = over(guess);
      if (points[guess] <= 0) fitting = std::max(fitting, guess);
      guess = next_guess(points);
    }
    return fitting;
  }

  // between the largest that fits and the smallest that does not, once both are known
  uint32_t next_guess(const std::map<uint32_t, double>& points) const {
    const auto [first, over_first] = *points.begin();
    if (points.size() == 1) return legal(over_first <= 0 ? 2.0 * first : first / 2.0);
    const auto [last, over_last] = *points.rbegin();
    const double slope = (over_last - over_first) / (double(last) - first);
    const uint32_t straight = slope <= 0 ? legal(1e18) : legal(first - over_first / slope);
    if (!points.contains(straight)) return straight;
    return points.at(straight) <= 0 ? legal(straight + double(unit_)) : straight > unit_ ? straight - unit_ : 0;
  }

  const PlanRequest& request_;
  uint32_t unit_ = 1;  // a micro_batch is a multiple of it
  std::map<uint32_t, std::unique_ptr<Batch>> batches_;
  std::map<uint32_t, double> seconds_;
};

}  // namespace

BatchAdvice advise_batch(const PlanRequest& request) {
  return Advisor(request).run();
}

}  // namespace tandem
