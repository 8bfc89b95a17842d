// libtandem-nccl.so. The communicator does not block: each call that goes on behind the caller is polled, so that a
// peer's failure ends the wait.
#include <nccl.h>

#include <chrono>
#include <cstdlib>
#include <exception>
#include <mutex>
#include <thread>
#include <utility>

#include "backends/cuda/communicator.h"
#include "core/build_id.h"

namespace tandem::cuda {
namespace {

constexpr const char* kAdvice = "NCCL_DEBUG=INFO in the environment tells more";

// Grows from nothing to a millisecond.
class Pause {
 public:
  void operator()() {
    if (++count_ < 1000) return std::this_thread::yield();
    std::this_thread::sleep_for(std::chrono::microseconds(count_ < 2000 ? 50 : 1000));
  }
  // When peers are asked for: seldom at first, when what is waited for takes microseconds.
  bool is_long() const { return count_ % 100 == 99 || count_ >= 1000; }

 private:
  uint32_t count_ = 0;
};

class NcclCommunicator : public Communicator {
 public:
  explicit NcclCommunicator(World& world) : world_(world) {
    const Seat& seat = world.seat();
    ncclUniqueId id{};
    if (seat.rank == 0) finish(ncclGetUniqueId(&id), "ncclGetUniqueId");
    world.broadcast(std::as_writable_bytes(std::span(&id, 1)), 0, "NCCL's id");
    ncclConfig_t config = NCCL_CONFIG_INITIALIZER;
    config.blocking = 0;
    finish(ncclCommInitRankConfig(&communicator_, int(seat.ranks), id, int(seat.rank), &config),
           "ncclCommInitRankConfig");
  }

  ~NcclCommunicator() override {
    // who leaves by an exception has not told the peers yet, so these would be waited for in vain
    if (std::uncaught_exceptions() > exceptions_) abort();
    if (communicator_ == nullptr) return;
    try {
      finish(ncclCommFinalize(communicator_), "ncclCommFinalize");
    } catch (const Error&) {  // aborted; who met the failure first has told it
      return;
    }
    (void)ncclCommDestroy(std::exchange(communicator_, nullptr));
  }

  std::string_view name() const override { return "nccl"; }

  void run(std::span<const ExchangeCall> calls, cudaStream_t stream) override {
    check();
    finish(ncclGroupStart(), "ncclGroupStart");
    ncclResult_t result = ncclSuccess;
    for (const ExchangeCall& call : calls)
      if (result == ncclSuccess || result == ncclInProgress) result = add(call, stream);
    const ncclResult_t ended = ncclGroupEnd();
    const bool added = result == ncclSuccess || result == ncclInProgress;
    finish(added ? ended : result, added ? "ncclGroupEnd" : "a call of a group");
  }

  void barrier(std::string_view label) override {
    or_abort([&] { world_.barrier(label); });
  }

  void check() override {
    or_abort([&] { world_.check(); });
    if (communicator_ == nullptr) fail(Exit::device, "cuda", "the communicator was aborted after a failure");
    ncclResult_t result = ncclSuccess;
    const ncclResult_t asked = ncclCommGetAsyncError(communicator_, &result);
    if (asked != ncclSuccess) result = asked;
    if (result != ncclInProgress) finish(result, "an exchange");
  }

  void abort() noexcept override {
    if (communicator_ != nullptr) (void)ncclCommAbort(std::exchange(communicator_, nullptr));
  }

 private:
  ncclResult_t add(const ExchangeCall& c, cudaStream_t stream) {
    switch (c.kind) {
      case CallKind::all_gather:
        return ncclAllGather(c.from, c.to, c.bytes, ncclUint8, communicator_, stream);
      case CallKind::all_reduce_max:
        return ncclAllReduce(c.from, c.to, c.bytes / sizeof(uint32_t), ncclUint32, ncclMax, communicator_, stream);
      case CallKind::send:
        return ncclSend(c.from, c.bytes, ncclUint8, int(c.peer), communicator_, stream);
      case CallKind::receive:
        return ncclRecv(c.to, c.bytes, ncclUint8, int(c.peer), communicator_, stream);
    }
    return ncclInvalidArgument;
  }

  // Waits until NCCL is done with the call, which may go on behind it.
  void finish(ncclResult_t result, std::string_view call) {
    for (Pause pause; result == ncclInProgress; pause()) {
      if (pause.is_long()) or_abort([&] { world_.check(); });
      if (const ncclResult_t asked = ncclCommGetAsyncError(communicator_, &result); asked != ncclSuccess)
        result = asked;
    }
    if (result == ncclSuccess) return;
    const std::string last = ncclGetLastError(communicator_);
    abort();
    fail(Exit::device, "cuda", "{}: {} ({}); {}", call, ncclGetErrorString(result), last, kAdvice);
  }

  template <typename Call>
  void or_abort(const Call& call) {
    try {
      call();
    } catch (...) {
      abort();
      throw;
    }
  }

  World& world_;
  ncclComm_t communicator_ = nullptr;
  int exceptions_ = std::uncaught_exceptions();
};

}  // namespace
}  // namespace tandem::cuda

extern "C" __attribute__((visibility("default"))) const char* tandem_nccl_build() {
  return tandem::kBuildId;
}

extern "C" __attribute__((visibility("default"))) tandem::cuda::Communicator* tandem_nccl_module(tandem::World& world) {
  static std::once_flag once;
  std::call_once(once, [] { (void)setenv("NCCL_NVLS_ENABLE", "0", 1); });
  return new tandem::cuda::NcclCommunicator(world);
}
