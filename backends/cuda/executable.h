// A loaded Program: calls prepared once; a turn runs on the device's streams, or is replayed from a CUDA graph where
// compute alone has work in it: graphs take memory, and beside copies the device has more to do than the host. A turn
// in which ranks meet is issued behind a barrier of all ranks' hosts.
#pragma once

#include "backends/cuda/gemm.h"
#include "backends/cuda/memory.h"
#include "core/base/enum_set.h"

namespace tandem::cuda {

class CudaExecutable : public Executable {
 public:
  CudaExecutable(std::shared_ptr<Device> device, KernelTable& choices, const Program& program,
                 std::span<Memory* const> memories);
  ~CudaExecutable() override;

  Timepoint submit(Turn turn) override;
  void wait(Timepoint timepoint) override { device_->wait(timepoint); }
  Timepoint submit_timed(Turn turn) override;
  std::optional<double> copy_seconds() override;
  std::vector<Interval> profile(Turn turn) override;

 private:
  // An instruction that is ready to be launched.
  struct Step {
    std::vector<kernels::Operand> operands;
    kernels::Launcher launcher = nullptr;
    std::unique_ptr<GemmPlan> gemm;   // in the launcher's place
    std::vector<ExchangeCall> calls;  // what a Collective becomes
    Queue from = Queue::compute;      // a Wait's: where its Signal is
  };

  void prepare(KernelTable& choices);
  void prepare(const Dispatch& dispatch, KernelTable& choices, Step& step);
  void prepare(const Collective& collective, Step& step);
  kernels::Call call_of(const Dispatch& dispatch, const Step& step) const;
  std::byte* at(const BufferRef& buffer) const { return arenas_.at(buffer.arena)->at(buffer.offset); }
  template <typename After>
  void run(Turn turn, const After& after);  // after: told each instruction that has been submitted
  void run(Turn turn);
  void run(const Instruction& instruction, const Step& step);
  void check_launch(Range range, const Instruction& instruction);
  bool is_replayed(Turn turn) const;  // from a graph: compute alone has work in it
  void meet(Turn turn);               // all ranks, before a turn in which they do
  void make_ready();
  OwnedGraph capture(Turn turn);
  void make_graph(Turn turn);
  template <typename Visit>
  void each_other_queue(const Visit& visit) const;  // in use, but for compute
  void wait_for(const OwnedEvent& event, Queue from, Queue queue);
  void fork();  // the other queues begin where compute is
  void join();  // compute goes on where all are

  std::shared_ptr<Device> device_;
  Program program_;
  std::vector<ArenaMemory*> arenas_;
  std::array<std::vector<Step>, kRangeCount> steps_;  // one an instruction; filled in for those
  std::map<uint32_t, OwnedEvent> signals_;            // by id
  QueueSet queues_{Queue::compute};                   // in use
  std::array<OwnedEvent, kQueueCount> joins_;
  std::array<OwnedGraphExec, kTurnCount> graphs_;              // by turn
  std::array<EnumSet<When>, kRangeCount> copies_, exchanges_;  // by range: when it has some
  std::vector<OwnedEvent> timed_;                              // pairs, around each wait
  size_t timed_used_ = 0;
  bool capturing_ = false, timing_ = false;
  bool use_graphs_ = true, synchronous_ = false;
};

}  // namespace tandem::cuda
