#include "core/program/program.h"

#include "core/program/accesses.h"

namespace tandem {

const Binding* Program::find(std::string_view name) const {
  for (const Binding& b : bindings)
    if (b.name == name) return &b;
  return nullptr;
}

const Binding& Program::binding(std::string_view name) const {
  const Binding* found = find(name);
  TANDEM_CHECK(found != nullptr, "the program has no binding {}", name);
  return *found;
}

Descs descs_of(const Dispatch& dispatch) {
  Descs descs;
  for (const Operand& o : dispatch.operands) descs.push_back(o.desc);
  return descs;
}

uint64_t workspace_bytes(const Dispatch& dispatch) {
  return op_of(dispatch.op).cost(dispatch.parameters, descs_of(dispatch)).workspace;
}

uint64_t workspace_bytes(const Program& program) {
  uint64_t most = 0;
  for (const std::vector<Instruction>& range : program.ranges)
    for (const Instruction& instruction : range)
      if (const auto* d = std::get_if<Dispatch>(&instruction.command)) most = std::max(most, workspace_bytes(*d));
  return most;
}

std::vector<BufferAccess> accesses_of(const Instruction& instruction) {
  std::vector<BufferAccess> accesses;
  if (const auto* d = std::get_if<Dispatch>(&instruction.command)) {
    for (const Operand& o : d->operands)
      if (o.desc.dtype != DType::none) accesses.push_back({o.buffer, o.access != Access::read});
  } else if (const auto* f = std::get_if<Fill>(&instruction.command)) {
    accesses.push_back({f->buffer, true});
  } else if (const auto* c = std::get_if<Copy>(&instruction.command)) {
    accesses.push_back({c->from, false});
    accesses.push_back({c->to, true});
  }
  return accesses;
}

bool conflict(const BufferAccess& a, const BufferAccess& b) {
  return (a.write || b.write) && a.buffer.arena == b.buffer.arena &&
         a.buffer.offset < b.buffer.offset + b.buffer.bytes && b.buffer.offset < a.buffer.offset + a.buffer.bytes;
}

bool conflict(const std::vector<BufferAccess>& a, const std::vector<BufferAccess>& b) {
  for (const BufferAccess& x : a)
    for (const BufferAccess& y : b)
      if (conflict(x, y)) return true;
  return false;
}

}  // namespace tandem
