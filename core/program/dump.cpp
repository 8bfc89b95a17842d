#include "core/program/dump.h"

#include "core/base/overloaded.h"

namespace tandem {
namespace {

std::string text_of(const BufferRef& b) {
  const std::string by_rank = b.rank_stride > 0 ? fmt::format(" by rank {}", b.rank_stride) : "";
  return fmt::format("{}:{}+{}{}", b.arena, b.offset, b.bytes, by_rank);
}

std::string text_of(const Operand& o) {
  constexpr std::string_view kAccess[] = {"", "write ", "update "};
  if (o.desc.dtype == DType::none) return " -";
  return fmt::format(" {}{} at {}", kAccess[size_t(o.access)], o.desc, text_of(o.buffer));
}

std::string text_of(const Dispatch& d) {
  std::string text = fmt::format("{}(", name_of(d.op));
  for (const Operand& o : d.operands) text += text_of(o);
  if (d.workspace.bytes > 0) text += " workspace " + text_of(d.workspace);
  return text + " )";
}

std::string text_of(const Collective& c) {
  std::string text = fmt::format("{}(", name_of(c.kind));
  for (size_t i = 0; i < c.to.size(); ++i) {
    const Part& from = c.from[i];
    text += fmt::format(" {}{} to {}", text_of(from.buffer),
                        from.stride > 0 ? fmt::format(" by part {}", from.stride) : "", text_of(c.to[i]));
  }
  return text + " )";
}

std::string text_of(const Command& command) {
  return std::visit(
      overloaded{[](const Dispatch& d) { return text_of(d); },
                 [](const Fill& f) { return "fill " + text_of(f.buffer); },
                 [](const Copy& c) { return fmt::format("copy {} to {}", text_of(c.from), text_of(c.to)); },
                 [](const Collective& c) { return text_of(c); }, [](const Barrier&) { return std::string("barrier"); },
                 [](const Signal& s) { return fmt::format("signal {}", s.id); },
                 [](const Wait& w) { return fmt::format("wait {}", w.id); }},
      command);
}

}  // namespace

std::string dump(const Program& program) {
  std::string text;
  for (uint32_t a = 0; a < program.arenas.size(); ++a)
    text += fmt::format("arena {} {} {} bytes\n", a, program.arenas[a].name, program.arenas[a].bytes);
  for (const Binding& b : program.bindings)
    text += fmt::format("binding {} {} at {}\n", b.name, b.desc, text_of(b.buffer));
  for (size_t r = 0; r < kRangeCount; ++r) {
    text += fmt::format("range {}\n", name_of(Range(r)));
    for (const Instruction& i : program.ranges[r])
      text += fmt::format("  {}{} {}{}\n", name_of(i.queue),
                          i.when == When::each ? "" : fmt::format(" ({})", name_of(i.when)), text_of(i.command),
                          i.label.empty() ? "" : "  # " + i.label.text());
  }
  return text;
}

}  // namespace tandem
