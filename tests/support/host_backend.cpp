#include "tests/support/host_backend.h"

#include <algorithm>
#include <array>
#include <random>
#include <set>

#include "backends/common/memory.h"
#include "core/base/overloaded.h"
#include "core/runtime/collectives.h"
#include "tests/support/cpu_backend.h"

namespace tandem::test {
namespace {

std::array<Reference, kOpCount>& references() {
  static std::array<Reference, kOpCount> table{};
  return table;
}

class HostExecutable : public Executable {
 public:
  HostExecutable(const Program& program, std::span<Memory* const> memories, QueueSet queues, uint32_t seed,
                 World* world)
      : program_(program),
        queues_(queues),
        random_(seed),
        memories_(memories_of<HostMemory>(program, memories)),
        world_(world) {
    TANDEM_CHECK(world != nullptr || !has_exchange(program), "the program has {} ranks, join them", program.ranks);
  }

  Timepoint submit(Turn turn) override {
    std::array<std::vector<const Instruction*>, kQueueCount> left;  // by queue, last one first
    size_t count = 0;
    for (const Instruction& instruction : program_.range(turn.range)) {
      if (!turn.runs(instruction.when)) continue;
      left[size_t(queue_for(instruction.queue, queues_))].push_back(&instruction);
      ++count;
    }
    for (auto& queue : left) std::ranges::reverse(queue);
    signalled_.clear();
    for (; count > 0; --count) {
      std::vector<std::vector<const Instruction*>*> ready;
      for (auto& queue : left)
        if (!queue.empty() && may_run(*queue.back())) ready.push_back(&queue);
      TANDEM_CHECK(!ready.empty(), "range {}: every queue waits", name_of(turn.range));
      auto& queue = *ready[ready.size() == 1 ? 0 : random_() % ready.size()];
      std::visit([this](const auto& command) { run(command); }, queue.back()->command);
      queue.pop_back();
    }
    return {++submitted_};
  }
  void wait(Timepoint) override {}  // submit has run it

 private:
  std::byte* at(const BufferRef& b) { return memories_.at(b.arena)->at(b.offset, b.bytes); }

  void run(const Dispatch& d) {
    std::vector<Tensor> operands;
    for (const Operand& o : d.operands) {
      TANDEM_CHECK(o.buffer.bytes >= o.desc.bytes(), "{}: {} bytes for {}", name_of(d.op), o.buffer.bytes, o.desc);
      operands.push_back(o.desc.dtype == DType::none ? Tensor() : Tensor(o.desc, at(o.buffer)));
    }
    if (d.workspace.bytes > 0) poison(at(d.workspace), d.workspace.bytes);  // a device's kernel writes there
    reference_of(d.op)(d.parameters, operands);
  }
  void run(const Fill& f) { std::memset(at(f.buffer), 0, f.buffer.bytes); }
  void run(const Copy& c) { std::memmove(at(c.to), at(c.from), c.to.bytes); }
  void run(const Collective& c) {
    run_collective(*world_, c, {}, [this](const BufferRef& b) { return at(b); });
  }
  void run(const Barrier&) {}  // a queue runs in list order
  void run(const Signal& s) { signalled_.insert(s.id); }
  void run(const Wait&) {}
  bool may_run(const Instruction& instruction) const {
    return std::visit(overloaded{[](const Dispatch&) { return true; }, [](const Fill&) { return true; },
                                 [](const Copy&) { return true; }, [](const Collective&) { return true; },
                                 [](const Barrier&) { return true; }, [](const Signal&) { return true; },
                                 [&](const Wait& wait) { return signalled_.contains(wait.id); }},
                      instruction.command);
  }

  Program program_;
  QueueSet queues_;
  std::mt19937 random_;
  std::set<uint32_t> signalled_;  // in the range that runs
  std::vector<HostMemory*> memories_;
  World* world_;
  uint64_t submitted_ = 0;
};

class HostBackend : public CpuBackend {
 public:
  HostBackend(QueueSet queues, uint32_t seed) : CpuBackend("host", queues), seed_(seed) {}
  std::unique_ptr<Executable> load(const Program& program, std::span<Memory* const> memories) override {
    return std::make_unique<HostExecutable>(program, memories, target_.queues, seed_, world_);
  }

 private:
  uint32_t seed_;
};

DeviceList devices() {
  return cpu_device("host");
}

std::unique_ptr<Backend> open(uint32_t) {
  return std::make_unique<HostBackend>(queues_of(1), 0);
}

}  // namespace

bool register_reference(OpId op, Reference reference) {
  references()[size_t(op)] = reference;
  return true;
}

Reference reference_of(OpId op) {
  TANDEM_CHECK(size_t(op) < kOpCount && references()[size_t(op)], "{} has no reference: link tests/ops/{}.cpp",
               name_of(op), name_of(op));
  return references()[size_t(op)];
}

std::unique_ptr<Backend> open_host(uint32_t queues, uint32_t seed) {
  return std::make_unique<HostBackend>(queues_of(queues), seed);
}

BackendFactory host_backend() {
  return {"host", devices, open};
}

}  // namespace tandem::test
