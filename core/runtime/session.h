// A Program loaded on a backend: its memory, its bindings by name, its ranges to submit.
#pragma once

#include "core/runtime/backend.h"
#include "core/runtime/watchdog.h"

namespace tandem {

class Session {
 public:
  Session(Backend& backend, Program program);

  bool has(std::string_view binding) const { return program_.find(binding) != nullptr; }
  const TensorDesc& desc(std::string_view binding) const { return program_.binding(binding).desc; }
  // offset and size in bytes, inside the binding
  void write(std::string_view binding, std::span<const std::byte> bytes, uint64_t offset = 0);
  void read(std::string_view binding, std::span<std::byte> bytes, uint64_t offset = 0) const;
  void zero(std::string_view binding);
  // Has the device draw the values into the binding, f32 or bf16; false: it does not draw.
  bool draw(std::string_view binding, const abi::NormalDraw& values, uint64_t offset);
  // any bytes of an arena
  void write(const BufferRef& to, std::span<const std::byte> bytes);
  void read(const BufferRef& from, std::span<std::byte> bytes) const;

  Timepoint submit(Turn turn) { return executable_->submit(turn); }
  void wait(Timepoint timepoint) { executable_->wait(timepoint); }
  void run(Turn turn) { wait(submit(turn)); }
  void run_instruction(const Instruction& instruction);  // one of the program's, alone

  uint64_t device_bytes() const;  // what it allocated there
  const Program& program() const { return program_; }
  Executable& executable() { return *executable_; }

 private:
  BufferRef part(std::string_view binding, uint64_t offset, uint64_t bytes) const;

  Backend& backend_;
  Program program_;
  std::vector<DevicePointer<Memory>> memories_;
  std::vector<Memory*> views_;            // views of memories_
  DevicePointer<Executable> executable_;  // destroyed before the memories it uses
};

template <typename T>
std::span<const std::byte> bytes_of(const T& container) {
  return std::as_bytes(std::span(container));
}

}  // namespace tandem
