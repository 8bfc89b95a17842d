// Which tokens a step trains on: windows of T tokens of the listed files, as a function of the step alone.
//
// Window i of a file has the inputs tokens[i*T .. i*T+T-1] and the targets one further on, so it reads T+1 tokens. The
// windows of all files in listed order are numbered 0 .. W-1. Sequence n of the run is window n mod W of epoch n div W,
// or, shuffled, window permuted_window(n mod W): see there. Step s, micro-step k, rank r, row b: n = ((s*A + k)*R +
// r)*B + b.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <exception>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "core/data/token_file.h"

namespace tandem {

struct LoaderOptions {
  uint32_t sequence_length = 0;  // T, tokens
  uint32_t micro_batch = 1;      // B, sequences of a rank
  uint32_t accumulation = 1;     // A, micro-steps
  uint32_t rank = 0;             // r
  uint32_t ranks = 1;            // R
  bool shuffle = false;
  uint64_t seed = 1;
  bool separate_documents = false;  // positions restart after document_end; the target that follows it is not valid
  int32_t document_end = -1;        // a token id
};

// Some micro-steps of one rank, in order.
struct StepBatch {
  std::vector<int32_t> inputs;     // (A, B, T) token ids
  std::vector<int32_t> targets;    // (A, B, T) token ids; -1: not valid
  std::vector<int32_t> positions;  // (A, B, T) from the start of the window, or of the document in it
  uint64_t valid_targets = 0;      // over all ranks
};

// The windows of some files. Exit::input, naming the file: one that is too short for a window, or no target that
// counts.
class Windows {
 public:
  Windows(TokenFiles files, const LoaderOptions& options);

  uint64_t count() const { return starts_.back(); }
  // Writes window w to T places each; returns its valid targets.
  uint64_t fill(uint64_t w, int32_t* inputs, int32_t* targets, int32_t* positions) const;
  uint64_t count_valid(uint64_t w) const;

 private:
  struct Place {
    const TokenFile& file;
    uint64_t first;  // token
  };
  Place place_of(uint64_t w) const;
  bool valid(const Place& place, uint64_t t) const;

  TokenFiles files_;
  std::vector<uint64_t> starts_;  // (files + 1) number of the first window of each file, and of all windows
  uint64_t sequence_length_;
  bool separate_documents_;
  int32_t document_end_;
};

// The window that stands at index i < count of an epoch: a permutation of 0 .. count-1 in O(1) memory. A Feistel
// network of 8 rounds on the least even number of bits, 2h, that holds count-1: with i = left*2^h + right, round j =
// 0..7 makes (left, right) into (right, left xor (f mod 2^h)), f = word 0 of Philox4x32-10 with key = seed and counter
// = (right, j, epoch low, epoch high). It is repeated on its result until that is below count.
uint64_t permuted_window(uint64_t i, uint64_t count, uint64_t seed, uint64_t epoch);

// Batches for training. Safe to use from several threads.
class Loader {
 public:
  Loader(TokenFiles files, const LoaderOptions& options);

  StepBatch step(uint64_t s) const;
  uint64_t windows() const { return windows_.count(); }

 private:
  uint64_t window_of(uint64_t n) const;

  LoaderOptions options_;
  Windows windows_;
};

// Batches for evaluation: every window once, in order.
class EvalWindows {
 public:
  EvalWindows(TokenFiles files, const LoaderOptions& options);

  uint64_t windows() const { return windows_.count(); }
  // Windows first .. first+count-1 as a batch of size >= count sequences; the rest has targets -1.
  StepBatch batch(uint64_t first, uint64_t count, uint64_t size) const;

 private:
  uint64_t sequence_length_;
  Windows windows_;
};

// Makes the steps first, first+1, .. last-1 ahead of their use, on its own thread. The loader outlives it.
class Prefetcher {
 public:
  static constexpr size_t kDepth = 2;  // steps held ready

  Prefetcher(const Loader& loader, uint64_t first, uint64_t last);
  ~Prefetcher();
  Prefetcher(const Prefetcher&) = delete;
  Prefetcher& operator=(const Prefetcher&) = delete;

  // The next step; waits for it. Throws what making it threw. Not after the last.
  StepBatch next();

 private:
  void run(uint64_t first, uint64_t last);

  const Loader& loader_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<StepBatch> ready_;
  std::exception_ptr failure_;
  bool ended_ = false;    // the thread makes no more
  bool stopped_ = false;  // asked to end
  std::thread thread_;    // last: it uses all of the above
};

}  // namespace tandem
