#include "core/plan/batch.h"

#include <algorithm>
#include <optional>

#include "core/plan/decide.h"

namespace tandem {
namespace {

// Rows that fill a large device; the search goes on from there, up and down. With far too few or too many it takes
// longer, and may end in a batch from which both neighbours are slower.
constexpr uint64_t kFirstRows = 16384;

PlanRequest with_micro_batch(PlanRequest request, uint32_t micro_batch) {
  request.shape.micro_batch = micro_batch;
  request.shape.accumulation = request.sequences / micro_batch;
  request.shape = with_head_chunks(request.shape, request.model, request.precision, request.limits.lm_head_chunks);
  return request;
}

// The next smaller micro_batch that divides the sequences and that the recipe can take; 0: there is none.
uint32_t next_smaller(uint32_t micro_batch, uint32_t sequences, uint32_t sequence_length, Recipe recipe) {
  for (uint32_t b = micro_batch - 1; b > 0; --b)
    if (sequences % b == 0 && uint64_t(b) * sequence_length % size_multiple(recipe) == 0) return b;
  return 0;
}

uint32_t next_smaller(const PlanRequest& r) {
  return next_smaller(r.shape.micro_batch, r.sequences, r.shape.sequence_length, r.precision.recipe);
}

// A plan to compare other batches with: coarse as theirs, unless nothing is searched for, or none that fits is found
// so.
StepPlan compared(PlanRequest request, const std::shared_ptr<Estimates>& estimates) {
  request.coarse = true;
  StepPlan plan = decide(request, estimates);
  if (plan.fits()) return plan;
  request.coarse = false;
  return decide(request, estimates);
}

// Sets the batch. Returns what the step will run, where that was found on the way.
std::optional<StepPlan> settle(PlanRequest& request, const std::shared_ptr<Estimates>& estimates) {
  std::optional<uint32_t> fastest;
  for (uint32_t b = request.shape.micro_batch; b > 0; b = next_smaller(request)) {
    request = with_micro_batch(std::move(request), b);
    if (!fastest) {
      StepPlan plan = compared(request, estimates);
      if (!plan.compiled->memory.fits()) continue;  // one value is larger than the device allocates at once
      fastest = fastest_micro_batch(request, plan);
      if (*fastest == b && !plan.coarse) return plan;
    }
    if (*fastest == 0) continue;
    request = with_micro_batch(std::move(request), *fastest);
    break;
  }
  return {};
}

}  // namespace

uint32_t first_micro_batch(uint32_t sequences, uint32_t sequence_length, Recipe recipe) {
  const uint64_t most = std::max<uint64_t>(1, kFirstRows / sequence_length);
  const auto smaller = [&](uint64_t b) { return next_smaller(uint32_t(b), sequences, sequence_length, recipe); };
  if (const uint32_t b = smaller(std::min<uint64_t>(most, sequences) + 1); b > 0) return b;
  for (uint64_t b = most + 1; b <= sequences; ++b)  // The recipe takes none so small.
    if (smaller(b + 1) == b) return uint32_t(b);
  return 1;
}

PlanRequest with_batch(PlanRequest request) {
  if (request.sequences > 0) settle(request, no_estimates());
  return request;
}

StepPlan decide_with_batch(PlanRequest& request) {
  const auto estimates = no_estimates();
  std::optional<StepPlan> plan;
  if (request.sequences > 0) plan = settle(request, estimates);
  return plan ? std::move(*plan) : decide(request, estimates);
}

}  // namespace tandem
