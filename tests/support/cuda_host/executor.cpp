#include "tests/support/cuda_host/executor.h"

#include <array>
#include <bit>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <string_view>
#include <vector>

#include "core/base/error.h"
#include "tests/support/cuda_host/fiber.h"

#if defined(TANDEM_CUDA_HOST_TSAN)
#include <sanitizer/tsan_interface.h>
#endif

uint3 threadIdx{}, blockIdx{};
dim3 blockDim, gridDim;

namespace tandem::cuda_host {
namespace {

constexpr uint32_t kLargestBlock = 1024, kWarp = 32, kFullWarp = 0xffffffffu;
constexpr size_t kLargestShared = 99 << 10;  // what sm_86, sm_89 and sm_120 give a block

// For TSan: what happened before publish(s) happens before what follows observe(s).
void publish([[maybe_unused]] char& s) {
#if defined(TANDEM_CUDA_HOST_TSAN)
  __tsan_release(&s);
#endif
}
void observe([[maybe_unused]] char& s) {
#if defined(TANDEM_CUDA_HOST_TSAN)
  __tsan_acquire(&s);
#endif
}

std::string at(Where where) {
  std::string_view file = where.file;
  while (file.substr(0, 3) == "../") file.remove_prefix(3);
  return fmt::format("{}:{}", file, where.line);
}

class Random {  // splitmix64
 public:
  explicit Random(uint64_t seed) : state_(seed) {}
  uint32_t below(uint32_t n) {
    uint64_t z = state_ += 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return uint32_t(((z ^ (z >> 31)) >> 32) * n >> 32);
  }

 private:
  uint64_t state_;
};

// the threads that can run
class ReadySet {
 public:
  void insert(uint32_t i) { words_[i / 64] |= uint64_t{1} << i % 64; }
  // takes one out; kLargestBlock: there is none
  uint32_t take(Order order, Random& random) {
    const uint32_t first = order == Order::shuffled ? random.below(kLargestBlock) : 0;
    const uint32_t i = order == Order::reversed ? highest() : lowest_from(first);
    if (i < kLargestBlock) words_[i / 64] &= ~(uint64_t{1} << i % 64);
    return i;
  }

 private:
  uint32_t lowest_from(uint32_t first) const {  // around the end
    if (const uint64_t word = words_[first / 64] >> first % 64) return first + uint32_t(std::countr_zero(word));
    for (uint32_t n = 1; n <= words_.size(); ++n) {
      const uint32_t w = (first / 64 + n) % uint32_t(words_.size());
      if (words_[w]) return w * 64 + uint32_t(std::countr_zero(words_[w]));
    }
    return kLargestBlock;
  }
  uint32_t highest() const {
    for (uint32_t w = uint32_t(words_.size()); w-- > 0;)
      if (words_[w]) return w * 64 + 63 - uint32_t(std::countl_zero(words_[w]));
    return kLargestBlock;
  }
  std::array<uint64_t, kLargestBlock / 64> words_{};
};

struct PendingCopy {
  Copy copy;
  uint32_t group;
};

struct Thread {
  Thread(void (*entry)(), uint32_t number) : fiber(entry, number) {}
  Fiber fiber;
  uint3 index{};
  uint32_t groups = 0;  // committed ones
  std::vector<PendingCopy> copies;
  uint32_t warp_syncs = 0;
};

struct Barrier {
  uint32_t arrived = 0;
  Where where{};
  uint32_t passed = 0;
  char order[2]{};  // in turn, or a thread that is ahead would publish to those that are still behind
};

struct Warp {
  uint32_t arrived = 0;  // a bit a lane
  WarpFunction function = nullptr;
  Where where{};
  void* arguments[kWarp]{};
  char order[2]{};
};

void no_function(void* const*) {}

class Executor {
 public:
  void set_order(Order order, uint64_t seed) {
    order_ = order;
    random_ = Random(seed);
  }
  void run(dim3 grid, dim3 block, size_t shared_bytes, void (*body)(const void*), const void* arguments);
  void* shared() const { return shared_.get(); }

  void sync_block(Where where);
  void warp_wide(uint32_t mask, WarpFunction function, void* argument, Where where);
  void sync_warp(uint32_t mask, Where where);
  void start_copy(const Copy& copy);
  void commit_copies() { ++threads_[current_]->groups; }
  void wait_for_copies(uint32_t pending);

 private:
  struct Free {
    void operator()(void* p) const { std::free(p); }
  };

  static void thread_main();
  void run_block(uint32_t index, size_t shared_bytes);
  void finish_thread();
  uint32_t next_thread();  // Exit::internal when all wait
  void select(uint32_t thread);
  void give_way();  // until the running thread is selected again
  std::string waiting() const;

  Order order_ = order_from_environment();
  Random random_{1};
  std::vector<std::unique_ptr<Thread>> threads_;
  std::unique_ptr<Fiber> root_;
  std::unique_ptr<void, Free> shared_;
  void (*body_)(const void*) = nullptr;
  const void* arguments_ = nullptr;

  uint32_t count_ = 0, finished_ = 0, current_ = 0;  // the block's threads
  ReadySet ready_;
  Barrier barrier_;
  std::array<Warp, kLargestBlock / kWarp> warps_;
  std::exception_ptr failure_;
  char start_order_ = 0, end_order_ = 0;
};

Executor& executor() {
  static Executor e;
  return e;
}

void check_launch(dim3 grid, dim3 block, size_t shared_bytes) {
  const uint64_t threads = uint64_t{block.x} * block.y * block.z;
  if (threads == 0 || threads > kLargestBlock || block.z > 64)
    fail(Exit::internal, "cuda_host", "a block of ({},{},{}) threads: 1 to 1024, 64 in z", block.x, block.y, block.z);
  if (grid.x == 0 || grid.y == 0 || grid.z == 0 || grid.x > 0x7fffffffu || grid.y > 65535 || grid.z > 65535)
    fail(Exit::internal, "cuda_host", "a grid of ({},{},{}) blocks: at least 1, and 65535 in y and z", grid.x, grid.y,
         grid.z);
  if (shared_bytes > kLargestShared)
    fail(Exit::internal, "cuda_host", "{} bytes of shared memory: {} are what all devices give", shared_bytes,
         kLargestShared);
}

void Executor::run(dim3 grid, dim3 block, size_t shared_bytes, void (*body)(const void*), const void* arguments) {
  check_launch(grid, block, shared_bytes);
  gridDim = grid;
  blockDim = block;
  body_ = body;
  arguments_ = arguments;
  count_ = block.x * block.y * block.z;
  root_ = std::make_unique<Fiber>();
  while (threads_.size() < count_) threads_.push_back(std::make_unique<Thread>(thread_main, uint32_t(threads_.size())));
  for (uint32_t i = 0; i < count_; ++i)
    threads_[i]->index = {i % block.x, i / block.x % block.y, i / block.x / block.y};
  void* shared = nullptr;  // its very size, so that ASan sees the end
  TANDEM_CHECK(posix_memalign(&shared, 128, shared_bytes) == 0, "no memory for {} shared bytes", shared_bytes);
  shared_.reset(shared);

  const uint32_t blocks = grid.x * grid.y * grid.z;
  std::vector<uint32_t> order(blocks);
  for (uint32_t i = 0; i < blocks; ++i) order[i] = order_ == Order::reversed ? blocks - 1 - i : i;
  if (order_ == Order::shuffled)
    for (uint32_t i = blocks; i > 1; --i) std::swap(order[i - 1], order[random_.below(i)]);
  for (const uint32_t index : order) run_block(index, shared_bytes);
  shared_.reset();
}

void Executor::run_block(uint32_t index, size_t shared_bytes) {
  blockIdx = {index % gridDim.x, index / gridDim.x % gridDim.y, index / gridDim.x / gridDim.y};
  if (shared_bytes > 0) std::memset(shared_.get(), 0xff, shared_bytes);
  barrier_.arrived = 0;
  for (Warp& w : warps_) w.arrived = 0;
  finished_ = 0;
  ready_ = {};
  for (uint32_t i = 0; i < count_; ++i) ready_.insert(i);
  publish(start_order_);
  select(next_thread());
  root_->switch_to(threads_[current_]->fiber);
  observe(end_order_);
  if (failure_) {
    threads_.clear();  // those that wait will never go on
    std::rethrow_exception(std::exchange(failure_, nullptr));
  }
}

// Every fiber runs this: one CUDA thread after another, of the same number, each in another block.
void Executor::thread_main() {
  Executor& e = executor();
  Thread& self = *e.threads_[e.current_];
  self.fiber.arrived();
  for (;;) {
    Fiber* to = e.root_.get();
    try {
      observe(e.start_order_);
      e.body_(e.arguments_);
      e.finish_thread();
      if (e.finished_ < e.count_) {
        e.select(e.next_thread());
        to = &e.threads_[e.current_]->fiber;
      }
    } catch (...) {
      e.failure_ = std::current_exception();
    }
    self.fiber.switch_to(*to);
  }
}

void Executor::finish_thread() {
  Thread& t = *threads_[current_];
  for (const PendingCopy& p : t.copies) p.copy.land(p.copy.shared, p.copy.global, p.copy.bytes);
  t.copies.clear();
  t.groups = 0;
  ++finished_;
  publish(end_order_);
}

uint32_t Executor::next_thread() {
  const uint32_t next = ready_.take(order_, random_);
  if (next == kLargestBlock)
    fail(Exit::internal, "cuda_host", "block ({},{},{}) is stuck: {}", blockIdx.x, blockIdx.y, blockIdx.z, waiting());
  return next;
}

void Executor::select(uint32_t thread) {
  current_ = thread;
  threadIdx = threads_[thread]->index;
}

void Executor::give_way() {
  Fiber& from = threads_[current_]->fiber;
  const uint32_t running = current_, next = next_thread();
  if (next == running) return;
  select(next);
  from.switch_to(threads_[next]->fiber);
}

std::string Executor::waiting() const {
  std::string text = fmt::format("{} of {} threads have returned", finished_, count_);
  if (barrier_.arrived > 0) text += fmt::format(", {} wait at __syncthreads {}", barrier_.arrived, at(barrier_.where));
  for (size_t i = 0; i < warps_.size(); ++i)
    if (warps_[i].arrived)
      text += fmt::format(", of warp {} lanes {:08x} wait at {}", i, warps_[i].arrived, at(warps_[i].where));
  return text;
}

void Executor::sync_block(Where where) {
  if (barrier_.arrived == 0) barrier_.where = where;
  if (barrier_.where.line != where.line || std::strcmp(barrier_.where.file, where.file) != 0)
    misuse(("__syncthreads, where others wait at the one of " + at(barrier_.where)).c_str(), where);
  char& order = barrier_.order[barrier_.passed % 2];
  publish(order);
  if (++barrier_.arrived == count_) {
    barrier_.arrived = 0;
    ++barrier_.passed;
    for (uint32_t i = 0; i < count_; ++i) ready_.insert(i);
  }
  give_way();
  observe(order);
}

void Executor::warp_wide(uint32_t mask, WarpFunction function, void* argument, Where where) {
  const uint32_t first = current_ / kWarp * kWarp, lane = current_ % kWarp;
  if (mask != kFullWarp) misuse("a warp-wide operation with a mask other than all 32 lanes", where);
  if (count_ - first < kWarp) misuse("a warp-wide operation in a warp of less than 32 threads", where);
  Warp& w = warps_[first / kWarp];
  if (w.arrived == 0) {
    w.function = function;
    w.where = where;
  } else if (w.function != function || w.where.line != where.line || std::strcmp(w.where.file, where.file) != 0) {
    misuse(("a warp-wide operation, where other lanes wait at another one, " + at(w.where)).c_str(), where);
  }
  w.arguments[lane] = argument;
  w.arrived |= 1u << lane;
  if (w.arrived == kFullWarp) {
    w.arrived = 0;
    function(w.arguments);
    for (uint32_t i = 0; i < kWarp; ++i) ready_.insert(first + i);
  }
  give_way();
}

void Executor::sync_warp(uint32_t mask, Where where) {
  char& order = warps_[current_ / kWarp].order[threads_[current_]->warp_syncs++ % 2];
  publish(order);
  warp_wide(mask, no_function, nullptr, where);
  observe(order);
}

void Executor::start_copy(const Copy& copy) {
  Thread& t = *threads_[current_];
  if (random_.below(2) == 0) copy.land(copy.shared, copy.global, copy.bytes);
  else t.copies.push_back({copy, t.groups});
}

void Executor::wait_for_copies(uint32_t pending) {
  Thread& t = *threads_[current_];
  size_t kept = 0;
  for (const PendingCopy& p : t.copies) {
    if (p.group + pending < t.groups) p.copy.land(p.copy.shared, p.copy.global, p.copy.bytes);
    else t.copies[kept++] = p;
  }
  t.copies.resize(kept);
}

}  // namespace

Order order_from_environment() {
  const char* name = std::getenv("TANDEM_CUDA_HOST_ORDER");
  const std::string_view order = name ? name : "forward";
  if (order == "forward") return Order::forward;
  if (order == "reversed") return Order::reversed;
  if (order == "shuffled") return Order::shuffled;
  fail(Exit::configuration, "TANDEM_CUDA_HOST_ORDER", "{} is not forward, reversed or shuffled", order);
}

void misuse(const char* what, Where where) {
  fail(Exit::internal, "cuda_host", "{}: {}, in block ({},{},{}) thread ({},{},{})", at(where), what, blockIdx.x,
       blockIdx.y, blockIdx.z, threadIdx.x, threadIdx.y, threadIdx.z);
}

void set_order(Order order, uint64_t seed) {
  executor().set_order(order, seed);
}
void run(dim3 grid, dim3 block, size_t shared_bytes, void (*body)(const void*), const void* arguments) {
  executor().run(grid, block, shared_bytes, body, arguments);
}
void* dynamic_shared_memory() {
  return executor().shared();
}
void sync_block(Where where) {
  executor().sync_block(where);
}
void warp_wide(uint32_t mask, WarpFunction function, void* argument, Where where) {
  executor().warp_wide(mask, function, argument, where);
}
void sync_warp(uint32_t mask, Where where) {
  executor().sync_warp(mask, where);
}
void start_copy(const Copy& copy) {
  executor().start_copy(copy);
}
void commit_copies() {
  executor().commit_copies();
}
void wait_for_copies(uint32_t pending) {
  executor().wait_for_copies(pending);
}

}  // namespace tandem::cuda_host
