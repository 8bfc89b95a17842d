// What the executors that run on the CPU share: their memory, and host access to it.
#pragma once

#include <cstdlib>

#include "core/runtime/backend.h"

namespace tandem::test {

// Poisoned: NaN in every float format. No larger than the arena, so that ASan sees its end.
class HostMemory : public Memory {
 public:
  HostMemory(const Arena& arena, const Target& target);  // Exit::does_not_fit
  const Arena& arena() const { return arena_; }
  std::byte* at(uint64_t offset, uint64_t bytes) const;

 private:
  struct Free {
    void operator()(std::byte* p) const { std::free(p); }
  };
  Arena arena_;
  std::unique_ptr<std::byte, Free> data_;
};

class CpuBackend : public Backend {
 public:
  explicit CpuBackend(std::string name, QueueSet queues = {Queue::compute});
  const Target& target() const override { return target_; }
  std::unique_ptr<Memory> allocate(const Arena& arena) override { return std::make_unique<HostMemory>(arena, target_); }
  void write(Memory& memory, uint64_t offset, std::span<const std::byte> bytes) override;
  void read(const Memory& memory, uint64_t offset, std::span<std::byte> bytes) override;
  void join(World& world, std::string_view) override { world_ = &world; }

 protected:
  Target target_;
  World* world_ = nullptr;  // null: one rank
};

// The one device of an executor on the CPU.
DeviceList cpu_device(const std::string& name);

void poison(std::byte* p, uint64_t bytes);

}  // namespace tandem::test
