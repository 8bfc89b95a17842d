#include "tests/support/shared_device.h"

#include <algorithm>
#include <set>

#include "tests/support/host_backend.h"

namespace tandem::test {
namespace {

// What this process has taken on the device.
class Account {
 public:
  explicit Account(const SharedDevice& device) : device_(device) {}
  uint64_t free() const {
    const uint64_t held = device_.others + taken_;
    return held < device_.total ? device_.total - held : 0;
  }
  void take(uint64_t bytes, const char* what) {
    const uint64_t whole = rounded(bytes);
    if (whole > free()) fail(Exit::does_not_fit, "shared device", "{} takes {} bytes of {}", what, whole, free());
    taken_ += whole;
  }
  void give(uint64_t bytes) { taken_ -= rounded(bytes); }

 private:
  uint64_t rounded(uint64_t bytes) const {
    return (bytes + device_.granularity - 1) / device_.granularity * device_.granularity;
  }

  const SharedDevice& device_;
  uint64_t taken_ = 0;
};

// Bytes that are taken while it lives.
class Taken {
 public:
  Taken(std::shared_ptr<Account> account, uint64_t bytes, const char* what)
      : account_(std::move(account)), bytes_(bytes) {
    account_->take(bytes, what);
  }
  ~Taken() { account_->give(bytes_); }
  Taken(const Taken&) = delete;
  Taken& operator=(const Taken&) = delete;

 private:
  std::shared_ptr<Account> account_;
  uint64_t bytes_;
};

struct SharedMemory : Memory {
  SharedMemory(std::unique_ptr<Memory> memory, std::shared_ptr<Account> account, const Arena& arena)
      : taken(std::move(account), arena.kind == ArenaKind::device ? arena.bytes : 0, "an arena"),
        inner(std::move(memory)) {}
  Taken taken;
  std::unique_ptr<Memory> inner;
};

class SharedExecutable : public Executable {
 public:
  SharedExecutable(std::unique_ptr<Executable> inner, std::shared_ptr<Account> account, const SharedDevice& device)
      : inner_(std::move(inner)),
        account_(std::move(account)),
        device_(device),
        load_(account_, device.load, "loading") {}

  Timepoint submit(Turn turn) override {
    if (met_.insert(turn.index()).second)
      graphs_.push_back(std::make_unique<Taken>(account_, device_.first_run, "a first submission"));
    return inner_->submit(turn);
  }
  void wait(Timepoint timepoint) override { inner_->wait(timepoint); }

 private:
  std::unique_ptr<Executable> inner_;
  std::shared_ptr<Account> account_;
  const SharedDevice& device_;
  Taken load_;
  std::set<size_t> met_;  // turns
  std::vector<std::unique_ptr<Taken>> graphs_;
};

class SharedBackend : public Backend {
 public:
  explicit SharedBackend(const SharedDevice& device)
      : device_(device), account_(std::make_shared<Account>(device)), target_(inner_->target()) {
    MemoryMeter meter(account_->free(), [&] { return account_->free(); });
    account_->take(device.context, "a context");
    meter.took("context");
    account_->take(device.kernels, "the kernels");
    meter.took("kernels");
    budget_ = meter.budget(device.to_come, device.margin);
    target_.memory_bytes = budget_.memory_bytes();
    target_.reserve_bytes = budget_.reserve_bytes();
  }

  const Target& target() const override { return target_; }
  DeviceBudget budget() const override { return budget_; }
  std::optional<uint64_t> free_bytes() override { return account_->free(); }
  std::unique_ptr<Memory> allocate(const Arena& arena) override {
    return std::make_unique<SharedMemory>(inner_->allocate(arena), account_, arena);
  }
  void write(Memory& memory, uint64_t offset, std::span<const std::byte> bytes) override {
    inner_->write(*dynamic_cast<SharedMemory&>(memory).inner, offset, bytes);
  }
  void read(const Memory& memory, uint64_t offset, std::span<std::byte> bytes) override {
    inner_->read(*dynamic_cast<const SharedMemory&>(memory).inner, offset, bytes);
  }
  std::unique_ptr<Executable> load(const Program& program, std::span<Memory* const> memories) override {
    std::vector<Memory*> inner;
    for (Memory* memory : memories) inner.push_back(dynamic_cast<SharedMemory&>(*memory).inner.get());
    return std::make_unique<SharedExecutable>(inner_->load(program, inner), account_, device_);
  }

 private:
  const SharedDevice& device_;
  std::shared_ptr<Account> account_;
  std::unique_ptr<Backend> inner_ = open_host(1, 0);
  Target target_;
  DeviceBudget budget_;
};

}  // namespace

std::unique_ptr<Backend> open_shared(const SharedDevice& device) {
  return std::make_unique<SharedBackend>(device);
}

}  // namespace tandem::test
