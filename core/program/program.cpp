#include "core/program/program.h"

#include "core/base/overloaded.h"
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

std::string name_of(const Instruction& instruction) {
  const std::string_view kind = std::visit(
      overloaded{[](const Dispatch& d) { return name_of(d.op); }, [](const Fill&) { return std::string_view("fill"); },
                 [](const Copy&) { return std::string_view("copy"); },
                 [](const Barrier&) { return std::string_view("barrier"); },
                 [](const Signal&) { return std::string_view("signal"); },
                 [](const Wait&) { return std::string_view("wait"); }},
      instruction.command);
  return fmt::format("{}{}{}", kind, instruction.label.empty() ? "" : " of ", instruction.label);
}

Descs descs_of(const Dispatch& dispatch) {
  Descs descs;
  for (const Operand& o : dispatch.operands) descs.push_back(o.desc);
  return descs;
}

std::vector<BufferAccess> accesses_of(const Instruction& instruction) {
  std::vector<BufferAccess> accesses;
  std::visit(overloaded{[&](const Dispatch& d) {
                          for (const Operand& o : d.operands)
                            if (o.desc.dtype != DType::none) accesses.push_back({o.buffer, o.access != Access::read});
                          if (d.workspace.bytes > 0) accesses.push_back({d.workspace, true});
                        },
                        [&](const Fill& f) {
                          accesses.push_back({f.buffer, true});
                        },
                        [&](const Copy& c) {
                          accesses.push_back({c.from, false});
                          accesses.push_back({c.to, true});
                        },
                        [](const Barrier&) {}, [](const Signal&) {}, [](const Wait&) {}},
             instruction.command);
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
