#include "tests/support/cuda_host/backend.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <mutex>

#include "core/base/overloaded.h"
#include "core/runtime/collectives.h"
#include "kernels/kernel.h"

#if defined(TANDEM_CUDA_HOST_ASAN)
#include <sanitizer/asan_interface.h>
#endif

namespace tandem::test {
namespace {

constexpr uint64_t kAlignment = 256;
constexpr uint64_t kLeastWorkspace = 256;

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

struct Free {
  void operator()(std::byte* p) const { std::free(p); }
};
using Buffer = std::unique_ptr<std::byte, Free>;

void poison(std::byte* p, uint64_t bytes) {  // NaN in every float format
  if (bytes > 0) std::memset(p, 0xff, bytes);
}

// its very size, so that ASan sees the end
Buffer allocate_poisoned(uint64_t bytes) {
  void* p = nullptr;
  if (posix_memalign(&p, kAlignment, bytes) != 0)
    fail(Exit::does_not_fit, "cuda_host", "no memory for {} bytes", bytes);
  poison(static_cast<std::byte*>(p), bytes);
  return Buffer(static_cast<std::byte*>(p));
}

struct HostMemory : Memory {
  explicit HostMemory(uint64_t size) : bytes(size), data(allocate_poisoned(size)) {}
  std::byte* at(uint64_t offset, uint64_t size) const {
    TANDEM_CHECK(offset + size <= bytes, "bytes {} to {} of an arena of {}", offset, offset + size, bytes);
    return data.get() + offset;
  }
  uint64_t bytes;
  Buffer data;
};

// Under ASan: while it lives, nothing of the memories may be touched but what was allowed.
class Fence {
 public:
  explicit Fence(const std::vector<HostMemory*>& memories) : memories_(memories) {
    for (const HostMemory* m : memories_) forbid(m->data.get(), m->bytes);
  }
  ~Fence() {
    for (const HostMemory* m : memories_) allow(m->data.get(), m->bytes);
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
      : program_(program), world_(world) {
    TANDEM_CHECK(memories.size() == program.arenas.size(), "{} memories for {} arenas", memories.size(),
                 program.arenas.size());
    for (Memory* m : memories) memories_.push_back(dynamic_cast<HostMemory*>(m));
    for (const std::vector<Instruction>& range : program_.ranges)
      for (const Instruction& i : range)
        std::visit(
            overloaded{[](const Dispatch& d) { require_kernel(d.op); }, [](const Fill&) {}, [](const Copy&) {},
                       [](const Collective&) {}, [](const Barrier&) {}, [](const Signal&) {}, [](const Wait&) {}},
            i.command);
  }

  Timepoint submit(Range range) override {
    for (const Instruction& instruction : program_.range(range))
      std::visit([this](const auto& command) { run(command); }, instruction.command);
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

class CudaHostBackend : public Backend {
 public:
  CudaHostBackend() {
    target_.name = "cuda_host";
    target_.alignment = kAlignment;
    target_.workspace_bytes = kLeastWorkspace;
    target_.largest_arena = target_.largest_operand = target_.largest_chunk = target_.memory_bytes = uint64_t{1} << 34;
  }
  const Target& target() const override { return target_; }
  std::unique_ptr<Memory> allocate(const Arena& arena) override { return std::make_unique<HostMemory>(arena.bytes); }
  void write(Memory& memory, uint64_t offset, std::span<const std::byte> bytes) override {
    std::byte* const to = dynamic_cast<HostMemory&>(memory).at(offset, bytes.size());
    if (!bytes.empty()) std::memcpy(to, bytes.data(), bytes.size());
  }
  void read(const Memory& memory, uint64_t offset, std::span<std::byte> bytes) override {
    const std::byte* const from = dynamic_cast<const HostMemory&>(memory).at(offset, bytes.size());
    if (!bytes.empty()) std::memcpy(bytes.data(), from, bytes.size());
  }
  std::unique_ptr<Executable> load(const Program& program, std::span<Memory* const> memories) override {
    return std::make_unique<HostExecutable>(program, memories, world_);
  }
  void join(World& world) override { world_ = &world; }

 private:
  Target target_;
  World* world_ = nullptr;
};

DeviceList devices() {
  DeviceInfo info;
  info.backend = info.name = "cuda_host";
  info.recipes = {"fp32", "bf16", "fp8"};
  return {{info}, {}};
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
