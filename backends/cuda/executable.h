// A loaded Program: calls prepared once; a range runs on the device's streams, captured as a CUDA graph or not, one for
// each turn of the schedule. A turn in which ranks meet is never captured: the host issues it, behind a barrier of all
// ranks' hosts.
#pragma once

#include "backends/cuda/gemm.h"
#include "backends/cuda/memory.h"

namespace tandem::cuda {

class CudaExecutable : public Executable {
 public:
  CudaExecutable(std::shared_ptr<Device> device, KernelTable& choices, const Program& program,
                 std::span<Memory* const> memories);
  ~CudaExecutable() override;

  Timepoint submit(Turn turn) override;
  void wait(Timepoint timepoint) override { device_->wait(timepoint); }
  std::vector<double> profile(Turn turn) override;

 private:
  // A dispatch or Collective that is ready to be launched.
  struct Step {
    std::vector<kernels::Operand> operands;
    kernels::Launcher launcher = nullptr;
    std::unique_ptr<GemmPlan> gemm;   // in the launcher's place
    std::vector<ExchangeCall> calls;  // what a Collective becomes
  };

  void prepare(KernelTable& choices);
  void prepare(const Dispatch& dispatch, KernelTable& choices, Step& step);
  void prepare(const Collective& collective, Step& step);
  kernels::Call call_of(const Dispatch& dispatch, const Step& step) const;
  std::byte* at(const BufferRef& buffer) const { return arenas_.at(buffer.arena)->at(buffer.offset); }
  void run(Turn turn);
  void run(const Instruction& instruction, const Step& step);
  void check_launch(Range range, const Instruction& instruction);
  bool exchanges(Turn turn) const;  // whether ranks meet in it
  void meet(Turn turn);             // all ranks, before a turn in which they do
  void make_ready();
  OwnedGraph capture(Turn turn);
  void make_graph(Turn turn);
  template <typename Visit>
  void each_other_queue(const Visit& visit) const;  // in use, but for compute
  void fork();                                      // the other queues begin where compute is
  void join();                                      // compute goes on where all are

  std::shared_ptr<Device> device_;
  Program program_;
  std::vector<ArenaMemory*> arenas_;
  std::array<std::vector<Step>, kRangeCount> steps_;  // one an instruction; filled in for those
  std::map<uint32_t, OwnedEvent> signals_;            // by id
  QueueSet queues_{Queue::compute};                   // in use
  std::array<OwnedEvent, kQueueCount> joins_;
  std::array<OwnedGraphExec, kTurnCount> graphs_;  // by turn
  bool capturing_ = false;
  bool use_graphs_ = true, synchronous_ = false;
};

}  // namespace tandem::cuda
