#include "core/runtime/session.h"

#include <algorithm>

#include "core/base/overloaded.h"
#include "core/program/verify.h"

namespace tandem {

Session::Session(Backend& backend, Program program) : backend_(backend), program_(std::move(program)) {
  verify(program_, backend.target());
  for (const Arena& arena : program_.arenas) {
    memories_.push_back(backend_.allocate(arena));
    views_.push_back(memories_.back().get());
  }
  executable_ = backend_.load(program_, views_);
}

void Session::run_instruction(const Instruction& instruction) {
  const bool runs = std::visit(
      overloaded{
          [](const Dispatch&) { return true; }, [](const Fill&) { return true; }, [](const Copy&) { return true; },
          [](const Collective& c) -> bool { fail(Exit::internal, name_of(c.kind), "needs the other ranks"); },
          [](const Barrier&) { return false; }, [](const Signal&) { return false; }, [](const Wait&) { return false; }},
      instruction.command);
  if (!runs) return;  // an order among others, and it is alone
  Program alone;
  alone.arenas = program_.arenas;
  alone.ranges[size_t(Range::evaluate)] = {instruction};
  alone.ranges[size_t(Range::evaluate)][0].when = When::each;
  verify(alone, backend_.target());
  const DevicePointer<Executable> executable = backend_.load(alone, views_);
  executable->wait(executable->submit(Range::evaluate));
}

BufferRef Session::part(std::string_view binding, uint64_t offset, uint64_t bytes) const {
  const BufferRef& whole = program_.binding(binding).buffer;
  TANDEM_CHECK(offset + bytes <= whole.bytes, "{}: bytes {}+{} of {}", binding, offset, bytes, whole.bytes);
  return {whole.arena, whole.offset + offset, bytes};
}

void Session::write(std::string_view binding, std::span<const std::byte> bytes, uint64_t offset) {
  write(part(binding, offset, bytes.size()), bytes);
}

void Session::read(std::string_view binding, std::span<std::byte> bytes, uint64_t offset) const {
  read(part(binding, offset, bytes.size()), bytes);
}

void Session::write(const BufferRef& to, std::span<const std::byte> bytes) {
  TANDEM_CHECK(bytes.size() <= to.bytes, "{} bytes written to {}", bytes.size(), to.bytes);
  backend_.write(*memories_.at(to.arena), to.offset, bytes);
}

void Session::read(const BufferRef& from, std::span<std::byte> bytes) const {
  TANDEM_CHECK(bytes.size() <= from.bytes, "{} bytes read from {}", bytes.size(), from.bytes);
  backend_.read(*memories_.at(from.arena), from.offset, bytes);
}

void Session::zero(std::string_view binding) {
  const BufferRef& buffer = program_.binding(binding).buffer;
  backend_.zero(*memories_.at(buffer.arena), buffer.offset, buffer.bytes);
}

bool Session::draw(std::string_view binding, const abi::NormalDraw& values, uint64_t offset) {
  const DType dtype = desc(binding).dtype;
  const BufferRef to = part(binding, offset, values.count * size_of(dtype));
  return backend_.draw(*memories_.at(to.arena), to.offset, values, dtype);
}

uint64_t Session::device_bytes() const {
  uint64_t total = 0;
  for (const Arena& arena : program_.arenas)
    if (arena.kind == ArenaKind::device) total += arena.bytes;
  return total;
}

}  // namespace tandem
