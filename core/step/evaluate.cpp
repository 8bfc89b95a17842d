#include "core/step/evaluate.h"

#include <algorithm>

namespace tandem {

std::optional<Evaluation> evaluate(StepRunner& runner, const Windows& data, uint64_t windows,
                                   const std::function<bool()>& broken_off) {
  const StepShape& shape = runner.shape();
  const uint64_t count = windows == 0 ? data.count() : std::min(windows, data.count());
  Evaluation result;
  double sum = 0;
  const uint64_t at_once = uint64_t(shape.micro_batch) * shape.accumulation;
  for (uint64_t first = 0; first < count; first += at_once) {
    if (broken_off()) return {};
    const uint64_t sequences = std::min(at_once, count - first);
    const StepBatch batch = evaluation_batch(data, first, sequences, at_once);
    sum += runner.evaluate(batch, uint32_t((sequences + shape.micro_batch - 1) / shape.micro_batch));
    result.tokens += batch.valid_targets;
    result.sequences += sequences;
  }
  result.loss = sum / double(result.tokens);
  return result;
}

Evaluation evaluate(StepRunner& runner, const Windows& data, uint64_t windows) {
  return *evaluate(runner, data, windows, [] { return false; });
}

}  // namespace tandem
