#include "core/data/loader.h"

#include <algorithm>
#include <bit>

#include "core/abi/numeric.h"
#include "core/base/error.h"

namespace tandem {
namespace {

StepBatch batch_of(uint64_t tokens) {
  StepBatch batch;
  batch.inputs.resize(tokens);
  batch.targets.resize(tokens);
  batch.positions.resize(tokens);
  return batch;
}

}  // namespace

Windows::Windows(TokenFiles files, const LoaderOptions& options)
    : files_(std::move(files)),
      starts_{0},
      sequence_length_(options.sequence_length),
      separate_documents_(options.separate_documents),
      document_end_(options.document_end) {
  TANDEM_CHECK(sequence_length_ > 0 && !files_.empty(), "windows of {} tokens of {} files", sequence_length_,
               files_.size());
  for (const auto& file : files_) {
    if (file->size() <= sequence_length_)
      fail(Exit::input, file->path(),
           "offset {}: holds {} tokens and no whole window, which takes {} (sequence length + 1)", kTokenFileHeader,
           file->size(), sequence_length_ + 1);
    starts_.push_back(starts_.back() + (file->size() - 1) / sequence_length_);
  }
  for (uint64_t w = 0; w < count(); ++w)
    if (count_valid(w) > 0) return;
  fail(Exit::input, files_[0]->path(), "no target counts in its windows{}; the mask must leave some",
       files_.size() > 1 ? fmt::format(" or those of the {} files beside it", files_.size() - 1) : "");
}

Windows::Place Windows::place_of(uint64_t w) const {
  TANDEM_CHECK(w < count(), "window {} of {}", w, count());
  const auto file = std::upper_bound(starts_.begin(), starts_.end(), w) - starts_.begin() - 1;
  return {*files_[size_t(file)], (w - starts_[size_t(file)]) * sequence_length_};
}

// whether the target of input t counts
bool Windows::valid(const Place& place, uint64_t t) const {
  const uint64_t i = place.first + t;
  return place.file.valid_target(i + 1) && !(separate_documents_ && place.file.token(i) == document_end_);
}

uint64_t Windows::fill(uint64_t w, int32_t* inputs, int32_t* targets, int32_t* positions) const {
  const Place place = place_of(w);
  uint64_t valid_targets = 0, document = 0;
  for (uint64_t t = 0; t < sequence_length_; ++t) {
    const bool counts = valid(place, t);
    inputs[t] = place.file.token(place.first + t);
    targets[t] = counts ? place.file.token(place.first + t + 1) : -1;
    positions[t] = int32_t(t - document);
    if (separate_documents_ && inputs[t] == document_end_) document = t + 1;
    valid_targets += counts;
  }
  return valid_targets;
}

uint64_t Windows::count_valid(uint64_t w) const {
  const Place place = place_of(w);
  if (!place.file.has_mask() && !separate_documents_) return sequence_length_;
  uint64_t valid_targets = 0;
  for (uint64_t t = 0; t < sequence_length_; ++t) valid_targets += valid(place, t);
  return valid_targets;
}

uint64_t permuted_window(uint64_t i, uint64_t count, uint64_t seed, uint64_t epoch) {
  const uint32_t half = (uint32_t(std::bit_width(count - 1)) + 1) / 2;
  const uint64_t mask = (uint64_t(1) << half) - 1;
  do {
    uint64_t left = i >> half, right = i & mask;
    for (uint32_t round = 0; round < 8; ++round) {
      const abi::PhiloxWords random = abi::philox(uint32_t(seed), uint32_t(seed >> 32), uint32_t(right), round,
                                                  uint32_t(epoch), uint32_t(epoch >> 32));
      left = std::exchange(right, left ^ (random.word[0] & mask));
    }
    i = left << half | right;
  } while (i >= count);
  return i;
}

Loader::Loader(TokenFiles files, const LoaderOptions& options)
    : options_(options), windows_(std::move(files), options) {}

uint64_t Loader::window_of(uint64_t n) const {
  const uint64_t count = windows_.count(), i = n % count;
  return options_.shuffle ? permuted_window(i, count, options_.seed, n / count) : i;
}

StepBatch Loader::step(uint64_t s) const {
  const uint64_t T = options_.sequence_length, B = options_.micro_batch, A = options_.accumulation, R = options_.ranks;
  StepBatch batch = batch_of(A * B * T);
  for (uint64_t k = 0; k < A; ++k) {
    for (uint64_t r = 0; r < R; ++r) {
      for (uint64_t b = 0; b < B; ++b) {
        const uint64_t window = window_of(((s * A + k) * R + r) * B + b), at = (k * B + b) * T;
        batch.valid_targets += r != options_.rank
                                   ? windows_.count_valid(window)
                                   : windows_.fill(window, &batch.inputs[at], &batch.targets[at], &batch.positions[at]);
      }
    }
  }
  return batch;
}

EvalWindows::EvalWindows(TokenFiles files, const LoaderOptions& options)
    : sequence_length_(options.sequence_length), windows_(std::move(files), options) {}

StepBatch EvalWindows::batch(uint64_t first, uint64_t count, uint64_t size) const {
  TANDEM_CHECK(count <= size, "{} windows in a batch of {}", count, size);
  StepBatch batch = batch_of(size * sequence_length_);
  for (uint64_t i = 0; i < size; ++i) {
    const uint64_t at = i * sequence_length_;
    const uint64_t window =
        i < count ? first + i : first;  // padding repeats a window, so that all of its tokens are valid
    const uint64_t valid = windows_.fill(window, &batch.inputs[at], &batch.targets[at], &batch.positions[at]);
    if (i < count) batch.valid_targets += valid;
    else std::fill_n(&batch.targets[at], sequence_length_, -1);
  }
  return batch;
}

Prefetcher::Prefetcher(const Loader& loader, uint64_t first, uint64_t last)
    : loader_(loader), thread_([=, this] { run(first, last); }) {}

Prefetcher::~Prefetcher() {
  {
    const std::lock_guard lock(mutex_);
    stopped_ = true;
  }
  changed_.notify_all();
  thread_.join();
}

void Prefetcher::run(uint64_t first, uint64_t last) {
  std::exception_ptr failure;
  try {
    for (uint64_t s = first; s < last; ++s) {
      StepBatch batch = loader_.step(s);
      std::unique_lock lock(mutex_);
      changed_.wait(lock, [&] { return stopped_ || ready_.size() < kDepth; });
      if (stopped_) return;
      ready_.push_back(std::move(batch));
      changed_.notify_all();
    }
  } catch (...) {
    failure = std::current_exception();
  }
  const std::lock_guard lock(mutex_);
  failure_ = failure;
  ended_ = true;
  changed_.notify_all();
}

StepBatch Prefetcher::next() {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [&] { return !ready_.empty() || ended_; });
  if (ready_.empty() && failure_ != nullptr) std::rethrow_exception(failure_);
  TANDEM_CHECK(!ready_.empty(), "a step after the last");
  StepBatch batch = std::move(ready_.front());
  ready_.pop_front();
  changed_.notify_all();
  return batch;
}

}  // namespace tandem
