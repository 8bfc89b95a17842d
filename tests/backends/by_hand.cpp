#include "tests/backends/by_hand.h"

#include <numeric>

#include "core/abi/add.h"

namespace tandem::test {

Arena arena(uint64_t bytes, ArenaKind kind) {
  return {"test", kind, bytes};
}

BufferRef slot(uint64_t index, uint32_t in_arena) {
  return {in_arena, index * kStride, kCount * 4};
}

Instruction add(uint64_t a, uint64_t b, uint64_t y, uint32_t count) {
  const TensorDesc desc{DType::f32, {count}};
  const auto operand = [&](uint64_t index, Access access) {
    return Operand{desc, {0, index * kStride, desc.bytes()}, access};
  };
  return {Queue::compute,
          Dispatch{OpId::add,
                   Parameters(abi::Add{count}),
                   {operand(a, Access::read), operand(b, Access::read), operand(y, Access::write)}},
          "test add"};
}

std::vector<float> counting(float first) {
  std::vector<float> values(kCount);
  std::iota(values.begin(), values.end(), first);
  return values;
}

void write(Backend& backend, Memory& memory, uint64_t index, const std::vector<float>& values) {
  backend.write(memory, index * kStride, std::as_bytes(std::span(values)));
}

std::vector<float> read(Backend& backend, const Memory& memory, uint64_t index) {
  std::vector<float> values(kCount);
  backend.read(memory, index * kStride, std::as_writable_bytes(std::span(values)));
  return values;
}

Loaded::Loaded(Backend& backend, const Program& program) {
  std::vector<Memory*> pointers;
  for (const Arena& a : program.arenas) pointers.push_back(memories.emplace_back(backend.allocate(a)).get());
  executable = backend.load(program, pointers);
}

bool contains(const std::string& text, std::string_view part) {
  return text.find(part) != std::string::npos;
}

}  // namespace tandem::test
