// Runs a kernel on the CPU: block after block, each CUDA thread of a block a fiber, which gives way to another at
// barriers and warp-wide operations only. Misuse is Exit::internal, naming file, line, block and thread.
#pragma once

#include <cstddef>
#include <cstdint>

#include "tests/support/cuda_host/vectors.h"

extern uint3 threadIdx, blockIdx;  // the thread's that runs
extern dim3 blockDim, gridDim;

namespace tandem::cuda_host {

// The thread, of those that can go on, that does: the lowest, the highest, or a random one; blocks likewise. A kernel
// that needs no more than its barriers gives the same bits in every order.
enum class Order { forward, reversed, shuffled };
constexpr Order kOrders[] = {Order::forward, Order::reversed, Order::shuffled};
// The default is TANDEM_CUDA_HOST_ORDER's, else forward. The seed is of all that is random, copies' arrival too.
void set_order(Order order, uint64_t seed = 1);
Order order_from_environment();

struct Where {
  const char* file;
  int line;
};

void run(dim3 grid, dim3 block, size_t shared_bytes, void (*body)(const void*), const void* arguments);
void* dynamic_shared_memory();  // 128-byte aligned, NaN at the start of each block
[[noreturn]] void misuse(const char* what, Where where);

// ---- called by threads ----
void sync_block(Where where);

// Waits for all 32 lanes to come with the same function, which then runs once with what each lane brought.
using WarpFunction = void (*)(void* const* lanes);
void warp_wide(uint32_t mask, WarpFunction function, void* argument, Where where);
void sync_warp(uint32_t mask, Where where);  // the only one of these that orders memory

// A copy of 16 bytes under way: it lands at random at once or when it is waited for.
struct Copy {
  void* shared;
  const void* global;
  uint32_t bytes;
  void (*land)(void* shared, const void* global, uint32_t bytes);
};
void start_copy(const Copy& copy);
void commit_copies();
void wait_for_copies(uint32_t pending);  // until at most this many of the thread's groups are under way

// ---- warp functions, for fragments as PTX lays them out ----
struct Mma {
  float* d;           // (4)
  const uint32_t* a;  // (4)
  const uint32_t* b;  // (2)
};
void mma_bf16(void* const* lanes);  // for Mma
void mma_e4m3(void* const* lanes);
struct MatrixRow {
  uint32_t* r;      // (4)
  uint32_t row[4];  // eight 16-bit elements
};
void exchange_rows(void* const* lanes);             // for MatrixRow
void exchange_rows_transposed(void* const* lanes);  // the same, each 8x8 matrix transposed

}  // namespace tandem::cuda_host
