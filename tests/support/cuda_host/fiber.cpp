#include "tests/support/cuda_host/fiber.h"

#include <sys/mman.h>

#include "core/base/error.h"

#if defined(TANDEM_CUDA_HOST_ASAN)
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#elif defined(TANDEM_CUDA_HOST_TSAN)
#include <sanitizer/tsan_interface.h>
#endif

#if defined(__x86_64__)
extern "C" void tandem_switch_stack(void** save, void* to);

// what the System V ABI lets a function expect unchanged: six registers and the stack pointer
asm(R"(.text
.globl tandem_switch_stack
.type tandem_switch_stack, @function
tandem_switch_stack:
  pushq %rbp
  pushq %rbx
  pushq %r12
  pushq %r13
  pushq %r14
  pushq %r15
  movq %rsp, (%rdi)
  movq %rsi, %rsp
  popq %r15
  popq %r14
  popq %r13
  popq %r12
  popq %rbx
  popq %rbp
  ret
.size tandem_switch_stack, .-tandem_switch_stack
)");
#endif

namespace tandem::cuda_host {
namespace {

constexpr size_t kStackBytes = 256 << 10, kGuardBytes = 64 << 10;  // touched pages alone take memory

[[maybe_unused]] Fiber* left = nullptr;  // the fiber that was switched from last

}  // namespace

Fiber::Fiber() {
#if defined(TANDEM_CUDA_HOST_TSAN)
  identity_ = __tsan_get_current_fiber();
#endif
}

Fiber::Fiber(void (*entry)(), uint32_t number) {
  void* const stack =
      mmap(nullptr, kStackBytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  TANDEM_CHECK(stack != MAP_FAILED, "no memory for a stack");
  stack_ = static_cast<char*>(stack);
  TANDEM_CHECK(mprotect(stack_, kGuardBytes, PROT_NONE) == 0, "no guard page for a stack");
  const size_t used = kStackBytes - (number % 32) * 192;
#if defined(__x86_64__)
  void** top = reinterpret_cast<void**>(stack_ + used);
  *--top = nullptr;  // entry's return address, which leaves its frame aligned as the ABI has it
  *--top = reinterpret_cast<void*>(entry);
  for (int i = 0; i < 6; ++i) *--top = nullptr;
  top_ = top;
#else
  TANDEM_CHECK(getcontext(&context_) == 0, "getcontext failed");
  context_.uc_stack.ss_sp = stack_;
  context_.uc_stack.ss_size = used;
  context_.uc_link = nullptr;
  makecontext(&context_, entry, 0);
#endif
#if defined(TANDEM_CUDA_HOST_ASAN)
  bottom_ = stack_;
  size_ = kStackBytes;
#elif defined(TANDEM_CUDA_HOST_TSAN)
  identity_ = __tsan_create_fiber(0);
#endif
}

Fiber::~Fiber() {
  if (stack_ == nullptr) return;
#if defined(TANDEM_CUDA_HOST_ASAN)
  ASAN_UNPOISON_MEMORY_REGION(stack_, kStackBytes);  // frames that never returned
#elif defined(TANDEM_CUDA_HOST_TSAN)
  __tsan_destroy_fiber(identity_);
#endif
  munmap(stack_, kStackBytes);
}

void Fiber::switch_to(Fiber& to) {
  left = this;
#if defined(TANDEM_CUDA_HOST_ASAN)
  __sanitizer_start_switch_fiber(&fake_stack_, to.bottom_, to.size_);
#elif defined(TANDEM_CUDA_HOST_TSAN)
  __tsan_switch_to_fiber(to.identity_, __tsan_switch_to_fiber_no_sync);
#endif
#if defined(__x86_64__)
  tandem_switch_stack(&top_, to.top_);
#else
  TANDEM_CHECK(swapcontext(&context_, &to.context_) == 0, "swapcontext failed");
#endif
  arrived();
}

void Fiber::arrived() {
#if defined(TANDEM_CUDA_HOST_ASAN)
  const void* bottom = nullptr;
  size_t size = 0;
  __sanitizer_finish_switch_fiber(fake_stack_, &bottom, &size);
  if (left->stack_ == nullptr) {  // whose bounds nobody else tells
    left->bottom_ = bottom;
    left->size_ = size;
  }
#endif
}

}  // namespace tandem::cuda_host
