#include "core/step/evaluate.h"

#include <algorithm>

#include "core/base/size.h"

namespace tandem {
namespace {

// What a rank has of a batch, or the sum over ranks, in their order.
struct Share {
  double loss = 0;
  uint64_t tokens = 0;
};

Share sum_over_ranks(World& world, const Share& mine) {
  Share sum;
  for (const Share& share : gather_values(world, mine, "evaluation")) {
    sum.loss += share.loss;
    sum.tokens += share.tokens;
  }
  return sum;
}

}  // namespace

std::optional<Evaluation> evaluate(StepRunner& runner, World* world, const Windows& data, uint64_t windows,
                                   const std::function<bool()>& broken_off) {
  const StepShape& shape = runner.shape();
  const uint32_t rank = world ? world->seat().rank : 0, ranks = world ? world->seat().ranks : 1;
  const LoaderOptions options{
      .micro_batch = shape.micro_batch, .accumulation = shape.accumulation, .rank = rank, .ranks = ranks};
  const uint64_t count = windows == 0 ? data.count() : std::min(windows, data.count());
  const uint64_t micro_step = uint64_t(shape.micro_batch) * ranks, at_once = micro_step * shape.accumulation;
  Evaluation result;
  double sum = 0;
  for (uint64_t first = 0; first < count; first += at_once) {
    if (broken_off()) return {};
    const uint64_t sequences = std::min(at_once, count - first);
    const StepBatch batch = evaluation_batch(data, first, sequences, options);
    Share share{runner.evaluate(batch, uint32_t(divide_up(sequences, micro_step))), batch.valid_targets};
    if (world) share = sum_over_ranks(*world, share);
    sum += share.loss;
    result.tokens += share.tokens;
    result.sequences += sequences;
  }
  result.loss = sum / double(result.tokens);
  return result;
}

Evaluation evaluate(StepRunner& runner, const Windows& data, uint64_t windows) {
  return *evaluate(runner, nullptr, data, windows, [] { return false; });
}

}  // namespace tandem
