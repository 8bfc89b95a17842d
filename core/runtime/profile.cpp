#include "core/runtime/profile.h"

#include <algorithm>
#include <chrono>

#include "core/base/overloaded.h"

namespace tandem {
namespace {

constexpr int kRuns = 4;

}  // namespace

std::vector<DispatchTime> time_dispatches(Session& session, Turn turn) {
  const std::vector<Interval> ran = session.executable().profile(turn);
  const std::vector<Instruction>& code = session.program().range(turn.range);
  std::vector<DispatchTime> times;
  for (size_t i = 0; i < code.size() && i < ran.size(); ++i) {
    if (!turn.runs(code[i].when)) continue;
    std::visit(overloaded{[&](const Dispatch& d) {
                            times.push_back({&d, op_of(d.op).cost(d.parameters, descs_of(d)), ran[i].seconds()});
                          },
                          [](const Fill&) {}, [](const Copy&) {}, [](const Collective&) {}, [](const Barrier&) {},
                          [](const Signal&) {}, [](const Wait&) {}},
               code[i].command);
  }
  return times;
}

double fastest_run(Session& session, Range range, int runs) {
  using Clock = std::chrono::steady_clock;
  double fastest = 1e30;
  for (int run = 0; run < runs; ++run) {
    const auto start = Clock::now();
    session.run(range);
    fastest = std::min(fastest, std::chrono::duration<double>(Clock::now() - start).count());
  }
  return fastest;
}

void fill_with_zeros(Session& session) {
  const std::vector<std::byte> zeros(16 << 20);
  for (uint32_t a = 0; a < session.program().arenas.size(); ++a)
    for (uint64_t at = 0, bytes = session.program().arenas[a].bytes; at < bytes; at += zeros.size()) {
      const uint64_t part = std::min<uint64_t>(zeros.size(), bytes - at);
      session.write(BufferRef{a, at, part}, std::span(zeros).first(part));
    }
}

double time_copies(Backend& backend, std::span<const CopySpec> copies, uint64_t bytes, int times) {
  Program program;
  for (const CopySpec& copy : copies) {
    const uint32_t from = uint32_t(program.arenas.size());
    program.arenas.push_back({"from", copy.from, bytes});
    program.arenas.push_back({"to", copy.to, bytes});
    const Instruction instruction{copy.queue, Copy{{from, 0, bytes}, {from + 1, 0, bytes}}, {}};
    std::vector<Instruction>& code = program.ranges[size_t(Range::evaluate)];
    code.insert(code.end(), size_t(times), instruction);
  }
  Session session(backend, std::move(program));
  fill_with_zeros(session);
  return fastest_run(session, Range::evaluate, kRuns);
}

}  // namespace tandem
