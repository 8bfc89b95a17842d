#include "tests/support/cuda_host/backend.h"

#include <cstring>
#include <mutex>

#include "backends/common/memory.h"
#include "core/base/overloaded.h"
#include "core/runtime/collectives.h"
#include "kernels/kernel.h"
#include "tests/support/cpu_backend.h"

#if defined(TANDEM_CUDA_HOST_ASAN)
#include <sanitizer/asan_interface.h>
#endif

namespace tandem::test {
namespace {

kernels::Launcher launcher_of(OpId op) {
  switch (op) {
#define OP(name)   \
  case OpId::name: \
    return kernels::name;
#include "cuda_kernels.inc"
#undef OP
    default:
      return nullptr;
  }
}

// Under ASan: while it lives, nothing of the memories may be touched but what was allowed.
class Fence {
 public:
  explicit Fence(const std::vector<HostMemory*>& memories) : memories_(memories) {
    for (const HostMemory* m : memories_) forbid(m->at(0, 0), m->arena().bytes);
  }
  ~Fence() {
    for (const HostMemory* m : memories_) allow(m->at(0, 0), m->arena().bytes);
  }
  Fence(const Fence&) = delete;
  Fence& operator=(const Fence&) = delete;

#if defined(TANDEM_CUDA_HOST_ASAN)
  static void forbid(const void* p, uint64_t bytes) {
    ASAN_POISON_MEMORY_REGION(p, bytes);
  }
  static void allow(const void* p, uint64_t bytes) {
    ASAN_UNPOISON_MEMORY_REGION(p, bytes);
  }
#else
  static void forbid(const void*, uint64_t) {}
  static void allow(const void*, uint64_t) {}
#endif

 private:
  const std::vector<HostMemory*>& memories_;
};

class HostExecutable : public Executable {
 public:
  HostExecutable(const Program& program, std::span<Memory* const> memories, World* world)
      : program_(program), world_(world), memories_(memories_of<HostMemory>(program, memories)) {
    for (const std::vector<Instruction>& range : program_.ranges)
      for (const Instruction& i : range)
        std::visit(
            overloaded{[](const Dispatch& d) { require_kernel(d.op); }, [](const Fill&) {}, [](const Copy&) {},
                       [](const Collective&) {}, [](const Barrier&) {}, [](const Signal&) {}, [](const Wait&) {}},
            i.command);
  }

  Timepoint submit(Turn turn) override {
    for (const Instruction& instruction : program_.range(turn.range))
      if (turn.runs(instruction.when)) std::visit([this](const auto& command) { run(command); }, instruction.command);
    return {++submitted_};
  }
  void wait(Timepoint) override {}  // submit has run it

 private:
  static void require_kernel(OpId op) {
    if (!has_cuda_kernel(op))
      fail(Exit::internal, "cuda_host", "{} has no kernel: write kernels/{}.cu and configure anew", name_of(op),
           name_of(op));
  }
  std::byte* at(const BufferRef& b) const { return memories_.at(b.arena)->at(b.offset, b.bytes); }

  void run(const Dispatch& d) {
    static std::mutex one_at_a_time;  // ranks are threads, and __shared__ is one variable
    const std::lock_guard lock(one_at_a_time);
    const Fence fence(memories_);
    std::vector<kernels::Operand> operands;
    std::string dtypes;
    for (const Operand& o : d.operands) {
      dtypes += fmt::format(" {}", name_of(o.desc.dtype));
      operands.push_back({});
      if (o.desc.dtype == DType::none) continue;
      TANDEM_CHECK(o.buffer.bytes >= o.desc.bytes(), "{}: {} bytes for {}", name_of(d.op), o.buffer.bytes, o.desc);
      operands.back() = {at(o.buffer), o.desc.dtype};
      Fence::allow(operands.back().data, o.desc.bytes());
    }
    const uint64_t scratch =
        op_of(d.op).cost(d.parameters, descs_of(d)).workspace;  // the kernel's; a library wants more
    TANDEM_CHECK(d.workspace.bytes >= scratch, "{}: a workspace of {} bytes, expected {}", name_of(d.op),
                 d.workspace.bytes, scratch);
    std::byte* const workspace = scratch > 0 ? at(d.workspace) : nullptr;
    Fence::allow(workspace, scratch);
    poison(workspace, scratch);
    if (!launcher_of(d.op)({d.parameters.data(), operands, workspace}, nullptr))
      fail(Exit::internal, "cuda_host", "{} has no kernel for operands of{}", name_of(d.op), dtypes);
  }
  void run(const Fill& f) { std::memset(at(f.buffer), 0, f.buffer.bytes); }
  void run(const Copy& c) { std::memmove(at(c.to), at(c.from), c.to.bytes); }
  void run(const Collective& c) {
    TANDEM_CHECK(world_ != nullptr, "the program has {} ranks, join them", program_.ranks);
    run_collective(*world_, c, {}, [this](const BufferRef& b) { return at(b); });
  }
  void run(const Barrier&) {}  // list order is the order of everything
  void run(const Signal&) {}
  void run(const Wait&) {}

  Program program_;
  World* world_;
  std::vector<HostMemory*> memories_;
  uint64_t submitted_ = 0;
};

class CudaHostBackend : public CpuBackend {
 public:
  CudaHostBackend() : CpuBackend("cuda_host") {}
  bool draw(Memory& memory, uint64_t offset, const abi::NormalDraw& values, DType dtype) override {
    std::byte* const at = dynamic_cast<HostMemory&>(memory).at(offset, values.count * size_of(dtype));
    kernels::draw_normal(values, {at, dtype}, nullptr);
    return true;
  }
  std::unique_ptr<Executable> load(const Program& program, std::span<Memory* const> memories) override {
    return std::make_unique<HostExecutable>(program, memories, world_);
  }
};

DeviceList devices() {
  return cpu_device("cuda_host");
}

std::unique_ptr<Backend> open(uint32_t) {
  return std::make_unique<CudaHostBackend>();
}

}  // namespace

bool has_cuda_kernel(OpId op) {
  return launcher_of(op) != nullptr;
}

BackendFactory cuda_host_backend() {
  return {"cuda_host", devices, open};
}

}  // namespace tandem::test
