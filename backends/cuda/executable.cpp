#include "backends/cuda/executable.h"

#include <algorithm>
#include <cstdlib>

#include "backends/common/memory.h"
#include "core/base/message.h"
#include "core/base/overloaded.h"
#include "kernels/launchers.h"

namespace tandem::cuda {
namespace {

bool environment_says(const char* name, char value) {
  const char* text = std::getenv(name);
  return text != nullptr && text[0] == value && text[1] == 0;
}

// By range: in which submissions it has instructions of some kind.
bool runs_any(Turn turn, const std::array<EnumSet<When>, kRangeCount>& ranges) {
  return std::ranges::any_of(std::array{When::each, When::first, When::later, When::last},
                             [&](When when) { return turn.runs(when) && ranges[size_t(turn.range)].contains(when); });
}

std::string describe(const Instruction& i, Range range) {
  return fmt::format("{} in range {}", name_of(i), name_of(range));
}

bool takes_time(const Instruction& i) {
  return !std::holds_alternative<Barrier>(i.command) && !std::holds_alternative<Signal>(i.command);
}

}  // namespace

CudaExecutable::CudaExecutable(std::shared_ptr<Device> device, KernelTable& choices, const Program& program,
                               std::span<Memory* const> memories)
    : device_(std::move(device)), program_(program), arenas_(memories_of<ArenaMemory>(program, memories)) {
  synchronous_ = environment_says("TANDEM_CUDA_SYNCHRONOUS", '1');
  use_graphs_ = !synchronous_ && !environment_says("TANDEM_CUDA_GRAPHS", '0');
  device_->make_current();
  prepare(choices);
  for (ArenaMemory* arena : arenas_) arena->finish();  // products were timed while host pages were made
  if (device_->communicator() != nullptr) make_ready();
}

CudaExecutable::~CudaExecutable() {
  device_->wait_idle();
}

void CudaExecutable::prepare(KernelTable& choices) {
  for (size_t r = 0; r < kRangeCount; ++r) {
    const std::map<uint32_t, Queue> signalled = signal_queues(program_.ranges[r]);
    for (const Instruction& instruction : program_.ranges[r]) {
      queues_.insert(queue_for(instruction.queue, device_->queues()));
      Step& step = steps_[r].emplace_back();
      std::visit(overloaded{[&](const Dispatch& dispatch) { prepare(dispatch, choices, step); }, [](const Fill&) {},
                            [&](const Copy&) { copies_[r].insert(instruction.when); },
                            [&](const Collective& collective) {
                              prepare(collective, step);
                              exchanges_[r].insert(instruction.when);
                            },
                            [](const Barrier&) {},
                            [&](const Signal& signal) { signals_.try_emplace(signal.id, make_event()); },
                            [&](const Wait& wait) { step.from = signalled.at(wait.id); }},
                 instruction.command);
    }
  }
  for (OwnedEvent& join : joins_) join = make_event();
}

void CudaExecutable::prepare(const Dispatch& dispatch, KernelTable& choices, Step& step) {
  for (const Operand& o : dispatch.operands)
    step.operands.push_back({o.desc.dtype == DType::none ? nullptr : at(o.buffer), o.desc.dtype});
  step.launcher = kernels::launcher_of(dispatch.op);
  if (!op_of(dispatch.op).library) return;
  for (const Operand& o : dispatch.operands)
    if (o.desc.dtype != DType::none) arenas_.at(o.buffer.arena)->finish();  // an algorithm may be timed
  step.gemm = GemmPlan::make(*device_, choices, call_of(dispatch, step));
}

void CudaExecutable::prepare(const Collective& collective, Step& step) {
  TANDEM_CHECK(device_->communicator() != nullptr, "the program has {} ranks, join them", program_.ranks);
  step.calls = calls_of(collective, program_.ranks, [this](const BufferRef& buffer) { return at(buffer); });
}

kernels::Call CudaExecutable::call_of(const Dispatch& dispatch, const Step& step) const {
  return {dispatch.parameters.data(), step.operands, dispatch.workspace.bytes > 0 ? at(dispatch.workspace) : nullptr};
}

template <typename Visit>
void CudaExecutable::each_other_queue(const Visit& visit) const {
  for (size_t q = 1; q < kQueueCount; ++q)
    if (queues_.contains(Queue(q))) visit(Queue(q));
}

void CudaExecutable::fork() {
  if (queues_.size() == 1) return;
  device_->record(joins_[0], device_->stream());
  each_other_queue([&](Queue queue) {
    device_->check_device(cudaStreamWaitEvent(device_->stream(queue), joins_[0].get(), 0), "cudaStreamWaitEvent");
  });
}

void CudaExecutable::join() {
  each_other_queue([&](Queue queue) {
    const OwnedEvent& join = joins_[size_t(queue)];
    device_->record(join, device_->stream(queue));
    wait_for(join, queue, Queue::compute);
  });
}

// While copies are timed, compute notes when it begins to wait for one and when it goes on.
void CudaExecutable::wait_for(const OwnedEvent& event, Queue from, Queue queue) {
  const cudaStream_t stream = device_->stream(queue_for(queue, device_->queues()));
  const bool timed = timing_ && queue == Queue::compute && (from == Queue::in || from == Queue::out);
  const auto note = [&] {
    if (timed_used_ == timed_.size()) timed_.push_back(make_event(true));
    device_->record(timed_[timed_used_++], stream);
  };
  if (timed) note();
  device_->check_device(cudaStreamWaitEvent(stream, event.get(), 0), "cudaStreamWaitEvent");
  if (timed) note();
}

void CudaExecutable::check_launch(Range range, const Instruction& instruction) {
  if (const cudaError_t result = cudaGetLastError(); result != cudaSuccess)
    device_->check_device(result, describe(instruction, range));
}

template <typename After>
void CudaExecutable::run(Turn turn, const After& after) {
  const std::vector<Instruction>& code = program_.range(turn.range);
  fork();
  for (size_t i = 0; i < code.size(); ++i) {
    if (!turn.runs(code[i].when)) continue;
    run(code[i], steps_[size_t(turn.range)][i]);
    check_launch(turn.range, code[i]);
    after(i);
    if (synchronous_ && !capturing_) device_->wait_all(describe(code[i], turn.range));
  }
  join();
}

void CudaExecutable::run(Turn turn) {
  run(turn, [](size_t) {});
}

void CudaExecutable::run(const Instruction& instruction, const Step& step) {
  const cudaStream_t stream = device_->stream(queue_for(instruction.queue, device_->queues()));
  std::visit(overloaded{[&](const Dispatch& dispatch) {
                          const kernels::Call call = call_of(dispatch, step);
                          if (step.gemm) step.gemm->run(*device_, call, stream);
                          else if (!step.launcher(call, stream))
                            fail(Exit::internal, "cuda", "{} has no kernel for these dtypes", name_of(instruction));
                        },
                        [&](const Fill& fill) {
                          device_->check_device(cudaMemsetAsync(at(fill.buffer), 0, fill.buffer.bytes, stream),
                                                "cudaMemsetAsync");
                        },
                        [&](const Copy& copy) {
                          device_->check_device(
                              cudaMemcpyAsync(at(copy.to), at(copy.from), copy.from.bytes, cudaMemcpyDefault, stream),
                              "cudaMemcpyAsync");
                        },
                        [&](const Collective&) {
                          if (!capturing_) device_->communicator()->run(step.calls, stream);
                        },
                        [](const Barrier&) {},  // what a stream does anyway
                        [&](const Signal& signal) { device_->record(signals_.at(signal.id), stream); },
                        [&](const Wait& wait) { wait_for(signals_.at(wait.id), step.from, instruction.queue); }},
             instruction.command);
}

// Loads what CUDA else loads at a first launch, and makes the graphs: both may wait for all that the device has to do,
// also for an exchange whose other ranks wait for this host.
void CudaExecutable::make_ready() {
  const auto make = [&](Turn turn) {
    if (program_.range(turn.range).empty()) return;
    if (is_replayed(turn)) make_graph(turn);
    else (void)capture(turn);
  };
  for (const Turns& turns : program_.schedule) make(turns.turn);
  make(Range::evaluate);
}

bool CudaExecutable::is_replayed(Turn turn) const {
  return use_graphs_ && !program_.range(turn.range).empty() && !runs_any(turn, copies_) && !runs_any(turn, exchanges_);
}

void CudaExecutable::meet(Turn turn) {
  if (runs_any(turn, exchanges_)) device_->communicator()->barrier(fmt::format("range {}", name_of(turn.range)));
}

// Exchanges are left out: a graph with some is there to load kernels alone.
OwnedGraph CudaExecutable::capture(Turn turn) {
  cudaGraph_t made = nullptr;
  device_->check_device(cudaStreamBeginCapture(device_->stream(), cudaStreamCaptureModeThreadLocal),
                        "cudaStreamBeginCapture");
  capturing_ = true;
  try {
    run(turn);
  } catch (...) {
    capturing_ = false;
    (void)cudaStreamEndCapture(device_->stream(), &made);
    OwnedGraph(made).reset();
    throw;
  }
  capturing_ = false;
  device_->check_device(cudaStreamEndCapture(device_->stream(), &made), "cudaStreamEndCapture");
  return OwnedGraph(made);
}

void CudaExecutable::make_graph(Turn turn) {
  const OwnedGraph graph = capture(turn);
  cudaGraphExec_t executable = nullptr;
  cudaError_t result = cudaGraphInstantiate(&executable, graph.get(), 0);
  OwnedGraphExec owned(executable);
  if (result == cudaSuccess) result = cudaGraphUpload(executable, device_->stream());
  if (result == cudaErrorMemoryAllocation) {  // replaying saves time alone
    (void)cudaGetLastError();
    use_graphs_ = false;
    return write_message(fmt::format(
        "tandem: the device has no memory left for a graph of range {}: instructions are submitted one by one\n",
        name_of(turn.range)));
  }
  device_->check_device(result, "cudaGraphInstantiate");
  graphs_[turn.index()] = std::move(owned);
}

Timepoint CudaExecutable::submit(Turn turn) {
  device_->make_current();
  const OwnedGraphExec& graph = graphs_[turn.index()];
  if (!graph && is_replayed(turn)) make_graph(turn);
  if (graph) {
    device_->check_device(cudaGraphLaunch(graph.get(), device_->stream()),
                          fmt::format("range {}", name_of(turn.range)));
  } else {
    meet(turn);
    run(turn);
  }
  return device_->mark();
}

Timepoint CudaExecutable::submit_timed(Turn turn) {
  timing_ = runs_any(turn, copies_);  // then it is not replayed
  const Timepoint done = submit(turn);
  timing_ = false;
  return done;
}

std::optional<double> CudaExecutable::copy_seconds() {
  double seconds = 0;
  for (size_t i = 0; i < timed_used_; i += 2) seconds += device_->seconds_between(timed_[i], timed_[i + 1]);
  timed_used_ = 0;
  return seconds;
}

std::vector<Interval> CudaExecutable::profile(Turn turn) {
  device_->make_current();
  const std::vector<Instruction>& code = program_.range(turn.range);
  const auto queue_of = [&](size_t i) { return queue_for(code[i].queue, device_->queues()); };
  const OwnedEvent start = make_event(true);
  std::vector<OwnedEvent> ends(code.size());
  for (size_t i = 0; i < code.size(); ++i)
    if (turn.runs(code[i].when) && takes_time(code[i])) ends[i] = make_event(true);
  device_->wait_all();
  meet(turn);
  device_->record(start, device_->stream());
  run(turn, [&](size_t i) {
    if (ends[i]) device_->record(ends[i], device_->stream(queue_of(i)));
  });
  device_->wait_all();
  std::vector<Interval> ran(code.size());
  std::array<double, kQueueCount> clocks{};
  for (size_t i = 0; i < code.size(); ++i) {
    if (!ends[i]) continue;
    double& clock = clocks[size_t(queue_of(i))];
    ran[i] = {clock, device_->seconds_between(start, ends[i])};
    clock = ran[i].end;
  }
  return ran;
}

}  // namespace tandem::cuda
