#include "backends/cuda/executable.h"

#include <algorithm>
#include <cstdlib>

#include "core/base/message.h"
#include "kernels/launchers.h"

namespace tandem::cuda {
namespace {

bool environment_says(const char* name, char value) {
  const char* text = std::getenv(name);
  return text != nullptr && text[0] == value && text[1] == 0;
}

std::string describe(const Instruction& i) {
  const auto* d = std::get_if<Dispatch>(&i.command);
  return fmt::format("{}{}{}", d != nullptr ? name_of(d->op) : "copy or fill", i.label.empty() ? "" : " of ", i.label);
}

std::string describe(const Instruction& i, Range range) {
  return fmt::format("{} in range {}", describe(i), name_of(range));
}

}  // namespace

CudaExecutable::CudaExecutable(std::shared_ptr<Device> device, AlgorithmTable& table, const Program& program,
                               std::span<Memory* const> memories)
    : device_(std::move(device)), program_(program) {
  TANDEM_CHECK(memories.size() == program.arenas.size(), "{} memories for {} arenas", memories.size(),
               program.arenas.size());
  for (Memory* memory : memories) arenas_.push_back(&dynamic_cast<const ArenaMemory&>(*memory));
  synchronous_ = environment_says("TANDEM_CUDA_SYNCHRONOUS", '1');
  use_graphs_ = !synchronous_ && !environment_says("TANDEM_CUDA_GRAPHS", '0');
  device_->make_current();
  prepare(table);
}

CudaExecutable::~CudaExecutable() {
  device_->wait_idle();
  device_->allocated -= workspace_bytes_;
}

void CudaExecutable::prepare(AlgorithmTable& table) {
  workspace_bytes_ = std::max(kGemmWorkspace, tandem::workspace_bytes(program_));
  void* workspace = nullptr;
  if (workspace_bytes_ > 0) device_->check_device(cudaMalloc(&workspace, workspace_bytes_), "workspace");
  workspace_ = OwnedDeviceMemory(workspace);
  device_->allocated += workspace_bytes_;
  for (size_t r = 0; r < kRangeCount; ++r)
    for (const Instruction& instruction : program_.ranges[r]) {
      queues_ = std::max(queues_, instruction.queue + 1);
      if (const auto* signal = std::get_if<Signal>(&instruction.command))
        signals_.try_emplace(signal->id, make_event());
      Step step;
      if (const auto* dispatch = std::get_if<Dispatch>(&instruction.command)) {
        TANDEM_CHECK(instruction.queue == 0, "a dispatch on queue {}: the one workspace is queue 0's",
                     instruction.queue);
        for (const Operand& o : dispatch->operands)
          step.operands.push_back({o.desc.dtype == DType::none ? nullptr : at(o.buffer), o.desc.dtype});
        step.launcher = kernels::launcher_of(dispatch->op);
        if (dispatch->op == OpId::gemm) step.gemm = GemmPlan::make(*device_, table, call_of(*dispatch, step));
      }
      steps_[r].push_back(std::move(step));
    }
  for (uint32_t queue = 0; queue < queues_; ++queue) joins_.push_back(make_event());
}

kernels::Call CudaExecutable::call_of(const Dispatch& dispatch, const Step& step) const {
  return {dispatch.parameters.data(), step.operands, workspace_.get()};
}

void CudaExecutable::fork() {
  if (queues_ == 1) return;
  check(cudaEventRecord(joins_[0].get(), device_->stream(0)), "cudaEventRecord");
  for (uint32_t q = 1; q < queues_; ++q)
    check(cudaStreamWaitEvent(device_->stream(q), joins_[0].get(), 0), "cudaStreamWaitEvent");
}

void CudaExecutable::join() {
  for (uint32_t q = 1; q < queues_; ++q) {
    check(cudaEventRecord(joins_[q].get(), device_->stream(q)), "cudaEventRecord");
    check(cudaStreamWaitEvent(device_->stream(0), joins_[q].get(), 0), "cudaStreamWaitEvent");
  }
}

void CudaExecutable::check_launch(Range range, const Instruction& instruction) {
  if (const cudaError_t result = cudaGetLastError(); result != cudaSuccess)
    device_->check_device(result, describe(instruction, range));
}

void CudaExecutable::run(Range range) {
  const std::vector<Instruction>& code = program_.range(range);
  fork();
  for (size_t i = 0; i < code.size(); ++i) {
    run(code[i], steps_[size_t(range)][i]);
    check_launch(range, code[i]);
    if (synchronous_) device_->wait_all(describe(code[i], range));
  }
  join();
}

void CudaExecutable::run(const Instruction& instruction, const Step& step) {
  const cudaStream_t stream = device_->stream(instruction.queue);
  if (const auto* dispatch = std::get_if<Dispatch>(&instruction.command)) {
    const kernels::Call call = call_of(*dispatch, step);
    if (step.gemm) step.gemm->run(*device_, call, stream);
    else if (!step.launcher(call, stream))
      fail(Exit::internal, "cuda", "{} has no kernel for these dtypes", describe(instruction));
  } else if (const auto* fill = std::get_if<Fill>(&instruction.command)) {
    check(cudaMemsetAsync(at(fill->buffer), 0, fill->buffer.bytes, stream), "cudaMemsetAsync");
  } else if (const auto* copy = std::get_if<Copy>(&instruction.command)) {
    check(cudaMemcpyAsync(at(copy->to), at(copy->from), copy->from.bytes, cudaMemcpyDefault, stream),
          "cudaMemcpyAsync");
  } else if (const auto* signal = std::get_if<Signal>(&instruction.command)) {
    check(cudaEventRecord(signals_.at(signal->id).get(), stream), "cudaEventRecord");
  } else if (const auto* wait = std::get_if<Wait>(&instruction.command)) {
    check(cudaStreamWaitEvent(stream, signals_.at(wait->id).get(), 0), "cudaStreamWaitEvent");
  }  // a barrier is what a stream does anyway
}

void CudaExecutable::capture(Range range) {
  cudaGraph_t made = nullptr;
  check(cudaStreamBeginCapture(device_->stream(0), cudaStreamCaptureModeThreadLocal), "cudaStreamBeginCapture");
  try {
    run(range);
  } catch (...) {
    (void)cudaStreamEndCapture(device_->stream(0), &made);
    OwnedGraph(made).reset();
    throw;
  }
  check(cudaStreamEndCapture(device_->stream(0), &made), "cudaStreamEndCapture");
  const OwnedGraph graph(made);
  cudaGraphExec_t executable = nullptr;
  cudaError_t result = cudaGraphInstantiate(&executable, graph.get(), 0);
  OwnedGraphExec owned(executable);
  if (result == cudaSuccess) result = cudaGraphUpload(executable, device_->stream(0));
  if (result == cudaErrorMemoryAllocation) {  // replaying saves time alone
    (void)cudaGetLastError();
    use_graphs_ = false;
    return write_message(fmt::format(
        "tandem: the device has no memory left for a graph of range {}: instructions are submitted one by one\n",
        name_of(range)));
  }
  device_->check_device(result, "cudaGraphInstantiate");
  graphs_[size_t(range)] = std::move(owned);
}

Timepoint CudaExecutable::submit(Range range) {
  device_->make_current();
  if (use_graphs_ && !graphs_[size_t(range)] && !program_.range(range).empty()) capture(range);
  if (graphs_[size_t(range)]) {
    device_->check_device(cudaGraphLaunch(graphs_[size_t(range)].get(), device_->stream(0)),
                          fmt::format("range {}", name_of(range)));
  } else {
    run(range);
  }
  return device_->mark();
}

std::vector<double> CudaExecutable::profile(Range range) {
  device_->make_current();
  const std::vector<Instruction>& code = program_.range(range);
  std::vector<OwnedEvent> events;
  for (size_t i = 0; i <= code.size(); ++i) events.push_back(make_event(true));
  device_->wait_all();
  device_->check_device(cudaEventRecord(events[0].get(), device_->stream(0)), "cudaEventRecord");
  for (size_t i = 0; i < code.size(); ++i) {
    fork();
    run(code[i], steps_[size_t(range)][i]);
    check_launch(range, code[i]);
    join();
    device_->check_device(cudaEventRecord(events[i + 1].get(), device_->stream(0)), "cudaEventRecord");
  }
  device_->wait_all();
  std::vector<double> seconds;
  for (size_t i = 0; i < code.size(); ++i) {
    float milliseconds = 0;
    device_->check_device(cudaEventElapsedTime(&milliseconds, events[i].get(), events[i + 1].get()),
                          "cudaEventElapsedTime");
    seconds.push_back(double(milliseconds) * 1e-3);
  }
  return seconds;
}

}  // namespace tandem::cuda
