#include "core/program/verify_ranks.h"

#include <algorithm>
#include <set>

#include "core/base/overloaded.h"
#include "core/program/accesses.h"

namespace tandem {
namespace {

std::string describe(const Instruction& instruction) {
  const Collective& c = *exchange_of(instruction);
  std::string text = name_of(instruction);
  for (size_t i = 0; i < c.to.size(); ++i) text += fmt::format(" {}:{}", c.from[i].buffer.bytes, c.to[i].bytes);
  return text;
}

// The exchanges of a range in their order, as all ranks have to have them.
std::vector<std::string> exchanges_of(const Program& program, Range range) {
  std::vector<std::string> list;
  for (const Instruction& instruction : program.range(range))
    if (exchange_of(instruction) != nullptr)
      list.push_back(fmt::format("{} on {}", describe(instruction), name_of(instruction.queue)));
  return list;
}

void check_equal(std::span<const Program> by_rank, Range range) {
  const std::vector<std::string> root = exchanges_of(by_rank[0], range);
  for (size_t r = 1; r < by_rank.size(); ++r) {
    const std::vector<std::string> peer = exchanges_of(by_rank[r], range);
    const auto [a, b] = std::ranges::mismatch(root, peer);
    TANDEM_CHECK(a == root.end() && b == peer.end(), "range {}: rank 0 runs {}, rank {} runs {}", name_of(range),
                 a == root.end() ? "nothing more" : *a, r, b == peer.end() ? "nothing more" : *b);
  }
}

void check_own_parts(const Program& program) {
  for (const auto& range : program.ranges)
    for (const Instruction& instruction : range) {
      const Collective* c = exchange_of(instruction);
      if (!c || c->kind != CollectiveKind::all_gather) continue;
      for (size_t i = 0; i < c->to.size(); ++i) {
        const BufferRef &from = c->from[i].buffer, &to = c->to[i];
        const bool inside =
            from.arena == to.arena && from.offset + from.bytes > to.offset && from.offset < to.offset + to.bytes;
        TANDEM_CHECK(!inside || from.offset == to.offset + program.rank * from.bytes,
                     "{}: rank {} gathers from byte {} of its whole, its own part begins at {}", name_of(instruction),
                     program.rank, from.offset - to.offset, program.rank * from.bytes);
      }
    }
}

// The queues of a rank, run as far as they go.
class RankQueues {
 public:
  RankQueues(const Program& program, Range range) {
    for (const Instruction& instruction : program.range(range))
      queues_[size_t(instruction.queue)].push_back(&instruction);
  }

  // Runs all that waits neither for a signal nor for other ranks; true if something ran.
  bool advance() {
    bool moved = false;
    for (size_t q = 0; q < kQueueCount; ++q)
      while (at_[q] < queues_[q].size() && may_run(*queues_[q][at_[q]])) {
        ++at_[q];
        moved = true;
      }
    return moved;
  }

  // The exchange that a queue stands before; null: none does.
  const Instruction* exchange() const {
    for (size_t q = 0; q < kQueueCount; ++q)
      if (at_[q] < queues_[q].size() && exchange_of(*queues_[q][at_[q]]) != nullptr) return queues_[q][at_[q]];
    return nullptr;
  }
  void pass(const Instruction* exchange) { ++at_[size_t(exchange->queue)]; }

  bool done() const {
    for (size_t q = 0; q < kQueueCount; ++q)
      if (at_[q] < queues_[q].size()) return false;
    return true;
  }

 private:
  bool may_run(const Instruction& instruction) {
    return std::visit(
        overloaded{[](const Dispatch&) { return true; }, [](const Fill&) { return true; },
                   [](const Copy&) { return true; }, [](const Collective&) { return false; },
                   [](const Barrier&) { return true; }, [&](const Signal& s) { return signalled_.insert(s.id), true; },
                   [&](const Wait& w) { return signalled_.contains(w.id); }},
        instruction.command);
  }

  std::array<std::vector<const Instruction*>, kQueueCount> queues_;
  std::array<size_t, kQueueCount> at_{};
  std::set<uint32_t> signalled_;
};

void check_ends(std::span<const Program> by_rank, Range range) {
  std::vector<RankQueues> ranks;
  for (const Program& program : by_rank) ranks.emplace_back(program, range);
  for (;;) {
    for (RankQueues& rank : ranks)
      while (rank.advance()) {
      }
    if (std::ranges::all_of(ranks, &RankQueues::done)) return;
    std::vector<const Instruction*> met;
    met.reserve(ranks.size());
    for (const RankQueues& rank : ranks) met.push_back(rank.exchange());
    for (size_t r = 0; r < met.size(); ++r)
      TANDEM_CHECK(met[0] != nullptr && met[r] != nullptr && describe(*met[r]) == describe(*met[0]),
                   "range {}: rank 0 waits at {} and rank {} at {}, for good", name_of(range),
                   met[0] ? describe(*met[0]) : "a signal", r, met[r] ? describe(*met[r]) : "a signal");
    for (size_t r = 0; r < met.size(); ++r) ranks[r].pass(met[r]);
  }
}

}  // namespace

void verify_ranks(std::span<const Program> by_rank) {
  for (const Program& program : by_rank) check_own_parts(program);
  for (size_t r = 0; r < kRangeCount; ++r) {
    check_equal(by_rank, Range(r));
    check_ends(by_rank, Range(r));
  }
}

void verify_ranks(const Program& program) {
  std::vector<Program> by_rank;
  for (uint32_t rank = 0; rank < program.ranks; ++rank) by_rank.push_back(for_rank(program, rank));
  verify_ranks(by_rank);
}

}  // namespace tandem
