// A fiber: a stack of its own and the point where its function stands. Sanitizers are told of every switch, by
// TANDEM_CUDA_HOST_ASAN and TANDEM_CUDA_HOST_TSAN, since the kernels alone may be instrumented.
#pragma once

#include <cstddef>
#include <cstdint>

#if !defined(__x86_64__)
#include <ucontext.h>
#endif

namespace tandem::cuda_host {

class Fiber {
 public:
  Fiber();  // the stack's that runs now
  // number: spreads the tops of the stacks over the cache's sets. entry calls arrived() first, and never returns.
  Fiber(void (*entry)(), uint32_t number);
  ~Fiber();
  Fiber(const Fiber&) = delete;
  Fiber& operator=(const Fiber&) = delete;

  void switch_to(Fiber& to);  // from this one, which runs; returns when somebody switches back
  void arrived();             // on this one, right after a switch

 private:
  char* stack_ = nullptr;  // null: the stack was there before
#if defined(__x86_64__)
  void* top_ = nullptr;  // where the registers are saved
#else
  ucontext_t context_;
#endif
#if defined(TANDEM_CUDA_HOST_ASAN)
  const void* bottom_ = nullptr;
  size_t size_ = 0;
  void* fake_stack_ = nullptr;
#elif defined(TANDEM_CUDA_HOST_TSAN)
  void* identity_ = nullptr;
#endif
};

}  // namespace tandem::cuda_host
