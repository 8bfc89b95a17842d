#include "core/runtime/budget.h"

namespace tandem {
namespace {

uint64_t less(uint64_t a, uint64_t b) {
  return a > b ? a - b : 0;
}

uint64_t taken_bytes(const DeviceBudget& budget) {
  uint64_t sum = 0;
  for (const MemoryPart& part : budget.taken) sum += part.bytes;
  return sum;
}

}  // namespace

uint64_t DeviceBudget::memory_bytes() const {
  return taken_bytes(*this) + less(free_now, margin);
}

uint64_t DeviceBudget::reserve_bytes() const {
  return taken_bytes(*this) + to_come;
}

uint64_t overrun(const DeviceBudget& budget, uint64_t planned, uint64_t free) {
  return less(less(budget.free_now, free), planned + budget.to_come);
}

void MemoryMeter::took(std::string part) {
  const uint64_t now = free_();
  parts_.push_back({std::move(part), less(last_, now)});  // Another process may have given memory back.
  last_ = now;
}

}  // namespace tandem
