// The op-free interface of a backend: memory, loading a Program, submitting its ranges.
#pragma once

#include <memory>
#include <span>

#include "core/abi/normal.h"
#include "core/program/program.h"
#include "core/program/target.h"
#include "core/runtime/budget.h"
#include "core/runtime/kernel_choices.h"
#include "core/runtime/world.h"

namespace tandem {

// What a device's programs are run by: "NVIDIA 580.65", and the libraries beside, "cuBLASLt 13.0.2".
struct Software {
  std::string driver;
  std::vector<std::string> libraries;
};

// How a device fares; what it does not tell is absent.
struct Health {
  std::optional<double> power;        // W, since the sample before
  std::optional<double> temperature;  // degrees Celsius
  std::optional<double> clock;        // MHz
  std::optional<double> energy;       // J, since the first sample
};

class Memory {
 public:
  virtual ~Memory() = default;
};

struct Timepoint {
  uint64_t value = 0;
};

// When an instruction ran, in seconds from the start of its turn.
struct Interval {
  double start = 0, end = 0;

  double seconds() const { return end - start; }
};

class Executable {
 public:
  virtual ~Executable() = default;
  virtual Timepoint submit(Turn turn) = 0;     // in the order of submission
  virtual void wait(Timepoint timepoint) = 0;  // throws a device failure, which is sticky
  // Submits as submit does, and has the device note how long compute waits for copies to and from the host.
  virtual Timepoint submit_timed(Turn turn) { return submit(turn); }
  // Seconds of those waits in all that was submitted so since it was last asked, and is done; nullopt: the device
  // cannot tell.
  virtual std::optional<double> copy_seconds() { return {}; }
  // Runs the turn as submit does, its queues side by side. Returns an interval for each instruction of the range: from
  // the end of the one before it on its queue to its own, so that time in which the device waits for the host counts
  // too. A Wait's is the time for which its queue stood still. {} where the turn leaves an instruction out. Empty, and
  // nothing has run: the device cannot tell.
  virtual std::vector<Interval> profile(Turn) { return {}; }
};

class Backend {
 public:
  virtual ~Backend() = default;
  virtual const Target& target() const = 0;
  virtual std::unique_ptr<Memory> allocate(const Arena& arena) = 0;  // contents undefined; Exit::does_not_fit
  // Host access. To a host arena: at once, the caller has waited for what it must follow; to a device arena: after all
  // that was submitted.
  virtual void write(Memory& memory, uint64_t offset, std::span<const std::byte> bytes) = 0;
  virtual void read(const Memory& memory, uint64_t offset, std::span<std::byte> bytes) = 0;
  virtual void zero(Memory& memory, uint64_t offset, uint64_t bytes);  // as write does
  // Draws the values there, as f32 or bf16, ordered as write is. False: the device does not draw, and nothing happened.
  virtual bool draw(Memory&, uint64_t /*offset*/, const abi::NormalDraw&, DType) { return false; }
  // memories: one per arena of the program, in order; they outlive the executable. Where kernels are chosen by time,
  // their contents are lost.
  virtual std::unique_ptr<Executable> load(const Program& program, std::span<Memory* const> memories) = 0;
  // Joins the other ranks, whose World outlives what the backend loads from here on: before the budget is read.
  // collectives: distributed.collectives. Exit::device where the backend cannot.
  virtual void join(World& world, std::string_view collectives);
  // Reads the budget anew: what was done since it was read may have taken memory for good.
  virtual void read_budget() {}
  virtual std::string_view transport() const { return "host"; }  // who moves what ranks exchange: host, nccl, copy
  // The device's memory when it was opened, as Target has it, and what is free now; nullopt: it cannot tell.
  virtual DeviceBudget budget() const { return {}; }
  virtual std::optional<uint64_t> free_bytes() { return {}; }
  virtual Software software() const { return {}; }
  // The newest sample, at most one per second, from the first call on; never waits for the device.
  virtual std::optional<Health> health() { return {}; }
  // The table that load takes its choices from; null for a backend that has none to make.
  virtual KernelTable* kernels() { return nullptr; }
};

struct DeviceInfo {
  std::string backend;  // "vulkan", "cuda"
  uint32_t index = 0;
  std::string name;
  uint64_t memory_bytes = 0;
  std::vector<std::string> recipes;  // some of fp32, bf16, fp8
  enum class Kind { software, integrated, discrete } kind = Kind::software;
};

struct DeviceList {
  std::vector<DeviceInfo> devices;
  std::string missing;  // why there is none; empty otherwise
};

// A backend registers this; the cli links core and backends.
struct BackendFactory {
  std::string name;
  DeviceList (*devices)();
  std::unique_ptr<Backend> (*open)(uint32_t index);
  int rank = 0;  // "auto" takes a device of the backend with the least
};

}  // namespace tandem
