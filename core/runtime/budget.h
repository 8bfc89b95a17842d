// What a Program may take on a device whose memory others hold too, and on which the process takes more than the
// Program.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

namespace tandem {

struct MemoryPart {
  std::string name;  // "context"
  uint64_t bytes = 0;
};

// A device's memory as a backend finds it when it is opened; all in bytes.
struct DeviceBudget {
  uint64_t free_now = 0;
  std::vector<MemoryPart> taken;  // By this process, before free_now was read.
  uint64_t to_come = 0;           // What it takes after that, beside what is planned: what loading and running make.
  uint64_t margin = 0;            // What to_come may be too small by.

  // For a Target. What is planned beside the reserve is then at most free_now - to_come - margin.
  uint64_t memory_bytes() const;   // What the process may take in all.
  uint64_t reserve_bytes() const;  // The part of them that is not planned.
};

// Bytes that the process has taken beyond its plan and to_come. planned: arenas and staging; free: on the
// device now.
uint64_t overrun(const DeviceBudget& budget, uint64_t planned, uint64_t free);

// Measures what each part of opening a device takes, by what is free before and after it.
class MemoryMeter {
 public:
  MemoryMeter(uint64_t before, std::function<uint64_t()> free) : free_(std::move(free)), last_(before) {}
  void took(std::string part);  // All that was taken since the last call, or since `before` bytes were free.
  DeviceBudget budget(uint64_t to_come, uint64_t margin) const { return {last_, parts_, to_come, margin}; }

 private:
  std::function<uint64_t()> free_;
  uint64_t last_;
  std::vector<MemoryPart> parts_;
};

}  // namespace tandem
