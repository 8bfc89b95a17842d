// What other batches would do: BatchAdvice of planner.h.
#include <algorithm>
#include <limits>
#include <map>

#include "core/plan/search.h"

namespace tandem {
namespace {

constexpr uint32_t kMostChunks = 128;  // of the LM head, where the configured batch has no more
constexpr int kTries = 3;              // batches compiled in full for the largest one
constexpr uint32_t kLayers = 4;        // of models that the others are estimated from, and one more

class Advisor {
 public:
  Advisor(const PlanRequest& request, const StepPlan& plan) : request_(request), plan_(plan) {
    while (!is_legal(unit_)) ++unit_;
    if (plan.fits()) seconds_[request.shape.micro_batch] = plan.chosen.seconds();
    least_ = Ranking(request, [&](const Choice& choice) { return plan.estimates->estimate(choice); }).least()->choice;
  }

  BatchAdvice run() {
    BatchAdvice advice;
    advice.largest_micro_batch = largest();
    // residuals on the host take more of it with each sequence
    if (uint32_t& residuals = least_.offloaded[size_t(Offload::residuals)]; residuals > 0 && limits_host()) {
      residuals = 0;
      advice.largest_micro_batch = std::max(advice.largest_micro_batch, largest());
    }
    const uint32_t configured = request_.shape.micro_batch;
    uint32_t best = configured;
    for (const bool up : {true, false})  // from the configured one on, as long as it gets better
      for (uint32_t b = next(best, up); b != 0 && b <= advice.largest_micro_batch && seconds(b) < seconds(best);
           b = next(b, up))
        best = b;
    if (best != configured) seconds_[best] = compiled_seconds(best);
    if (seconds(best) >= seconds(configured)) best = configured;
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

  PlanRequest request_of(uint32_t micro_batch) const {
    PlanRequest r = request_;
    r.coarse = true;
    r.shape.micro_batch = micro_batch;
    r.shape.accumulation = std::max(1u, product() / micro_batch);
    const uint64_t logits = uint64_t(r.shape.rows()) * (request_.model.vocabulary + 15);
    if (!r.limits.lm_head_chunks)
      r.shape.head_chunks = uint32_t(std::clamp<uint64_t>(
          uint64_t(request_.shape.head_chunks) * micro_batch / request_.shape.micro_batch, (logits >> 31) + 1,
          std::max({uint64_t{kMostChunks}, uint64_t{request_.shape.head_chunks}, (logits >> 31) + 1})));
    return r;
  }

  // of the configured one as planned, of others as estimated
  double seconds(uint32_t micro_batch) {
    const auto found = seconds_.find(micro_batch);
    if (found != seconds_.end()) return found->second;
    const std::vector<Ranked> ranked = batch(micro_batch).ranking.fitting();
    return seconds_[micro_batch] = ranked.empty() ? std::numeric_limits<double>::infinity() : ranked.front().seconds;
  }

  // of the fastest policy by estimates that fits once it is compiled; infinity where none of a few does
  double compiled_seconds(uint32_t micro_batch) {
    Batch& b = batch(micro_batch);
    for (int tries = 0; tries < kTries; ++tries) {
      const std::vector<Ranked> ranked = b.ranking.fitting();
      if (ranked.empty()) break;
      const std::optional<Takes> takes = takes_if_any([&] { return compiled_takes(b.request, ranked.front().choice); });
      if (!takes) break;
      if (over(*takes) <= 0) return takes->seconds(b.request.shape.accumulation);
      b.ranking.correct(ranked.front().choice, *takes);
    }
    return std::numeric_limits<double>::infinity();
  }

  static Takes compiled_takes(const PlanRequest& r, const Choice& choice) {
    return takes_of(compile_step(r.model, r.precision, r.optimizer, r.shape, policy_of(choice, r.model.layers),
                                 without_budget(r.target), Checks::without),
                    r.target);
  }

  // estimates of one micro_batch
  struct Batch {
    Batch(PlanRequest r, const Estimator& other)
        : request(std::move(r)),
          estimator(request, other),
          ranking(request, [this](const Choice& choice) { return estimator.estimate(choice); }) {}
    Batch(const Batch&) = delete;
    Batch& operator=(const Batch&) = delete;

    PlanRequest request;
    Estimator estimator;
    Ranking ranking;
  };

  Batch& batch(uint32_t micro_batch) {
    std::unique_ptr<Batch>& slot = batches_[micro_batch];
    if (!slot) slot = std::make_unique<Batch>(request_of(micro_batch), *plan_.estimates);
    return *slot;
  }

  // ---- the largest micro_batch that fits ----

  // what the policy that takes least takes, of a model of so many layers
  Takes least_takes(uint32_t micro_batch, uint32_t layers) const {
    PlanRequest r = request_of(micro_batch);
    Choice choice = of_layers(least_, r.model.layers, layers);
    choice.head_chunks = head_chunk_counts(r).back();
    if (!r.limits.attention_chunks) choice.attention_chunks = attention_chunk_counts(r).back();
    r.model.layers = layers;
    return compiled_takes(r, choice);
  }

  // of the whole model, from models of few layers
  Takes estimated_takes(uint32_t micro_batch) const {
    const uint32_t layers = request_.model.layers, fewer = std::min(kLayers, layers - 1);
    Takes few = least_takes(micro_batch, std::max(fewer, 1u));
    if (fewer == 0) return few;
    Takes layer = least_takes(micro_batch, fewer + 1);
    layer.add(few, -1);
    return few.add(layer, layers - fewer);
  }

  bool limits_host() const { return request_.target.host_memory_bytes > 0; }

  // by how many bytes it is over a budget; below 0: it fits
  double over(const Takes& takes) const {
    const Budget budget = budget_of(request_.target);
    return std::max(takes.device() - budget.device, takes.host - budget.host);
  }

  // none where a value is larger than the device allocates at once
  template <typename F>
  static std::optional<Takes> takes_if_any(const F& make) {
    try {
      return make();
    } catch (const Error& error) {
      if (error.exit() != Exit::does_not_fit) throw;
      return {};
    }
  }

  // operands stay below 2^32 elements and within what the device allocates at once, logits too where the configuration
  // fixes their chunks
  uint32_t legal(double micro_batch) const {
    const double length = request_.shape.sequence_length;
    const double element = double(size_of(request_.precision.compute()));
    double most = std::min(double(UINT32_MAX), double(request_.target.largest_arena) / element) /
                  (length * double(widest_row(request_.model)));
    if (const auto chunks = request_.limits.lm_head_chunks)
      most = std::max(1.0, std::min(most, *chunks * (UINT32_MAX / 2) / (length * (request_.model.vocabulary + 15.0))));
    const uint32_t b = uint32_t(std::clamp(micro_batch, 1.0, std::max(1.0, most)));
    return b / unit_ * unit_;
  }

  // Bytes grow in proportion to the micro_batch, but for what stays: two points give the others. What they err by is
  // learned where the estimate says that the limit is.
  uint32_t largest() const {
    const uint32_t configured = request_.shape.micro_batch;
    uint32_t other = legal(2.0 * configured);
    const Takes base = estimated_takes(configured);
    const std::optional<Takes> more = takes_if_any([&] { return estimated_takes(other); });
    if (!more) other = configured;
    Takes slope = more.value_or(base);
    slope.add(base, -1);
    double error = 0;
    uint32_t fitting = plan_.fits() ? configured : 0;
    const auto fits = [&](uint32_t units) {
      Takes takes = base;
      takes.add(slope, other == configured ? 0 : (double(units * unit_) - configured) / (double(other) - configured));
      return over(takes) + error <= 0;
    };
    for (int tries = 0; tries < kTries; ++tries) {
      uint32_t low = 0, high = legal(other == configured ? configured : 1e18) / unit_ + 1;
      while (high - low > 1) {
        const uint32_t middle = low + (high - low) / 2;
        (fits(middle) ? low : high) = middle;
      }
      const uint32_t b = low * unit_;
      if (b <= fitting) break;
      Takes estimate = base;
      estimate.add(slope, (double(b) - configured) / std::max(1.0, double(other) - configured));
      const std::optional<Takes> whole = takes_if_any([&] { return least_takes(b, request_.model.layers); });
      if (!whole) break;
      error = over(*whole) - over(estimate);
      if (over(*whole) <= 0) fitting = b;
    }
    return fitting;
  }

  const PlanRequest& request_;
  const StepPlan& plan_;
  Choice least_;       // takes least of the device
  uint32_t unit_ = 1;  // a micro_batch is a multiple of it
  std::map<uint32_t, std::unique_ptr<Batch>> batches_;
  std::map<uint32_t, double> seconds_;
};

}  // namespace

BatchAdvice advise_batch(const PlanRequest& request, const StepPlan& plan) {
  return Advisor(request, plan).run();
}

}  // namespace tandem
