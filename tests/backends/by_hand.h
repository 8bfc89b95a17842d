// Programs made by hand: operands of kCount floats, kStride bytes apart, in arenas of four.
#pragma once

#include "core/runtime/backend.h"

namespace tandem::test {

constexpr uint64_t kCount = 5000, kStride = 20480;  // elements of an operand; bytes from one to the next
constexpr uint64_t kArenaBytes = 4 * kStride;

Arena arena(uint64_t bytes = kArenaBytes, ArenaKind kind = ArenaKind::device);
BufferRef slot(uint64_t index, uint32_t in_arena = 0);
// Slot y becomes a + b.
Instruction add(uint64_t a, uint64_t b, uint64_t y, uint32_t count = kCount);

std::vector<float> counting(float first);  // (kCount) f32
void write(Backend& backend, Memory& memory, uint64_t index, const std::vector<float>& values);
std::vector<float> read(Backend& backend, const Memory& memory, uint64_t index);

// A Program on memory of its own.
struct Loaded {
  Loaded(Backend& backend, const Program& program);
  Memory& memory(size_t arena) const { return *memories[arena]; }

  std::vector<std::unique_ptr<Memory>> memories;
  std::unique_ptr<Executable> executable;
};

// What is thrown while f runs, as "exit code: message"; empty: nothing.
template <typename F>
std::string error_of(F f) {
  try {
    f();
  } catch (const Error& error) {
    return fmt::format("{}: {}", int(error.exit()), error.what());
  }
  return "";
}

bool contains(const std::string& text, std::string_view part);

}  // namespace tandem::test
