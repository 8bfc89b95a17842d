// `tandem train CONFIG` on a device that takes all work and never answers; nor do its destructors return.
// tests/cli/watchdog.cpp runs it. Exits as `tandem` does.
#include <unistd.h>

#include <thread>

#include "core/base/message.h"
#include "core/run/train.h"
#include "core/runtime/watchdog.h"

namespace tandem {
namespace {

struct SilentMemory : Memory {};

class SilentExecutable : public Executable {
 public:
  ~SilentExecutable() override {
    for (;;) ::pause();
  }
  Timepoint submit(Turn) override { return {++submitted_}; }
  void wait(Timepoint timepoint) override {
    wait_for_device("silent", timepoint.value, timeout_, [](Seconds at_most) {
      std::this_thread::sleep_for(at_most);
      return uint64_t(0);
    });
  }

 private:
  const Seconds timeout_ = device_timeout();
  uint64_t submitted_ = 0;
};

class SilentBackend : public Backend {
 public:
  SilentBackend() {
    target_.name = "silent";
    target_.largest_arena = target_.largest_operand = target_.largest_chunk = target_.memory_bytes = uint64_t(1) << 34;
  }
  const Target& target() const override { return target_; }
  std::unique_ptr<Memory> allocate(const Arena&) override { return std::make_unique<SilentMemory>(); }
  void write(Memory&, uint64_t, std::span<const std::byte>) override {}
  void read(const Memory&, uint64_t, std::span<std::byte>) override {}
  std::unique_ptr<Executable> load(const Program&, std::span<Memory* const>) override {
    return std::make_unique<SilentExecutable>();
  }

 private:
  Target target_;
};

DeviceList devices() {
  return {{{.backend = "vulkan", .name = "silent", .recipes = {"fp32"}}}, {}};
}

std::unique_ptr<Backend> open(uint32_t) {
  return std::make_unique<SilentBackend>();
}

}  // namespace
}  // namespace tandem

int main(int argc, char** argv) {
  try {
    if (argc != 2) return 2;
    tandem::Registry registry;
    registry.add({"vulkan", tandem::devices, tandem::open});
    return int(tandem::train(tandem::load_config(argv[1], {}), registry, {}));
  } catch (const tandem::Error& e) {
    tandem::write_message(std::string(e.what()) + "\n");
    return int(e.exit());
  }
}
