// A loaded Program: calls prepared once; a range runs on the device's streams, captured as a CUDA graph or not.
#pragma once

#include "backends/cuda/gemm.h"
#include "backends/cuda/memory.h"

namespace tandem::cuda {

class CudaExecutable : public Executable {
 public:
  CudaExecutable(std::shared_ptr<Device> device, KernelTable& choices, const Program& program,
                 std::span<Memory* const> memories);
  ~CudaExecutable() override;

  Timepoint submit(Range range) override;
  void wait(Timepoint timepoint) override { device_->wait(timepoint); }
  std::vector<double> profile(Range range) override;

 private:
  // A dispatch that is ready to be launched.
  struct Step {
    std::vector<kernels::Operand> operands;
    kernels::Launcher launcher = nullptr;
    std::unique_ptr<GemmPlan> gemm;  // in the launcher's place
  };

  void prepare(KernelTable& choices);
  void prepare(const Dispatch& dispatch, KernelTable& choices, Step& step);
  kernels::Call call_of(const Dispatch& dispatch, const Step& step) const;
  std::byte* at(const BufferRef& buffer) const { return arenas_.at(buffer.arena)->at(buffer.offset); }
  void run(Range range);
  void run(const Instruction& instruction, const Step& step);
  void check_launch(Range range, const Instruction& instruction);
  void capture(Range range);
  template <typename Visit>
  void each_other_queue(const Visit& visit) const;  // in use, but for compute
  void fork();                                      // the other queues begin where compute is
  void join();                                      // compute goes on where all are

  std::shared_ptr<Device> device_;
  Program program_;
  std::vector<const ArenaMemory*> arenas_;
  std::array<std::vector<Step>, kRangeCount> steps_;  // one an instruction; filled in for dispatches
  std::map<uint32_t, OwnedEvent> signals_;            // by id
  QueueSet queues_{Queue::compute};                   // in use
  std::array<OwnedEvent, kQueueCount> joins_;
  std::array<OwnedGraphExec, kRangeCount> graphs_;
  bool use_graphs_ = true, synchronous_ = false;
};

}  // namespace tandem::cuda
