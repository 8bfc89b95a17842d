#include "core/data/loader.h"

#include <algorithm>

#include "core/base/error.h"
#include "core/data/mixture.h"
#include "core/data/permutation.h"

namespace tandem {
namespace {

StepBatch batch_of(const Windows& windows, uint64_t sequences) {
  const uint64_t tokens = sequences * windows.sequence_length();
  StepBatch batch;
  batch.inputs.resize(tokens);
  batch.targets.resize(tokens);
  batch.positions.resize(tokens);
  if (const StreamHeader* stream = windows.stream()) {
    batch.codes.resize(sequences * stream->code_bytes());
    batch.scales.resize(sequences * stream->scale_bytes());
  }
  return batch;
}

// one sequence's
WindowPlaces places_of(StepBatch& batch, uint64_t sequence, uint64_t sequences) {
  const auto part = [&](auto& all) {
    const uint64_t size = all.size() / sequences;
    return std::span(all).subspan(sequence * size, size);
  };
  return {part(batch.inputs), part(batch.targets), part(batch.positions), part(batch.codes), part(batch.scales)};
}

}  // namespace

Loader::Loader(std::vector<Windows> sources, const LoaderOptions& options)
    : options_(options), sources_(std::move(sources)) {
  TANDEM_CHECK(options_.weights.empty() ? sources_.size() == 1 : sources_.size() == options_.weights.size(),
               "{} sources of {} weights", sources_.size(), options_.weights.size());
  if (!options_.weights.empty()) counts_ = mixture_counts(options_.weights);
}

Loader::Loader(Windows windows, const LoaderOptions& options)
    : Loader(std::vector<Windows>{std::move(windows)}, options) {}

Loader::Place Loader::place_of(uint64_t n) const {
  const Draw drawn = counts_.empty() ? Draw{0, n} : draw(n, counts_, options_.seed);
  const Windows& windows = sources_[drawn.source];
  const uint64_t count = windows.count(), i = drawn.index % count;
  return {windows, options_.shuffle ? permuted_window(i, count, options_.seed, drawn.index / count) : i};
}

StepBatch Loader::step(uint64_t s) const {
  const uint64_t B = options_.micro_batch, A = options_.accumulation, R = options_.ranks;
  StepBatch batch = batch_of(sources_[0], A * B);
  for (uint64_t k = 0; k < A; ++k) {
    for (uint64_t r = 0; r < R; ++r) {
      for (uint64_t b = 0; b < B; ++b) {
        const auto [windows, window] = place_of(((s * A + k) * R + r) * B + b);
        batch.tokens += windows.inputs(window);
        batch.valid_targets += r != options_.rank ? windows.valid_targets(window)
                                                  : windows.fill(window, places_of(batch, k * B + b, A * B));
      }
    }
  }
  return batch;
}

void Loader::deal(uint32_t micro_batch, uint32_t accumulation) {
  options_.micro_batch = micro_batch;
  options_.accumulation = accumulation;
}

StepBatch evaluation_batch(const Windows& windows, uint64_t first, uint64_t count, const LoaderOptions& options) {
  const uint64_t B = options.micro_batch, A = options.accumulation, R = options.ranks;
  TANDEM_CHECK(count <= A * R * B, "{} windows in a batch of {}", count, A * R * B);
  StepBatch batch = batch_of(windows, A * B);
  for (uint64_t i = 0; i < A * B; ++i) {
    const WindowPlaces places = places_of(batch, i, A * B);
    const uint64_t n = (i / B * R + options.rank) * B + i % B;
    // what fills the batch up repeats a window, so that all of its tokens are valid
    const uint64_t window = n < count ? first + n : first, valid = windows.fill(window, places);
    if (n >= count) {
      std::ranges::fill(places.targets, -1);
      continue;
    }
    batch.valid_targets += valid;
    batch.tokens += windows.inputs(window);
  }
  return batch;
}

}  // namespace tandem
