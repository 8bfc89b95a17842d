#include <algorithm>
#include <map>

#include "core/passes/compile.h"
#include "core/program/accesses.h"

namespace tandem {
namespace {

// By queue, how many instructions of the range (counted over all queues) are known to be done as far as they run there.
using Clock = std::array<uint32_t, kQueueCount>;

// The last instructions that touched some bytes, as positions in the range plus one; 0: none.
struct Touched {
  uint64_t end = 0;
  uint32_t written = 0;
  Clock read{};  // by queue
};

// Touched by bytes: intervals of an arena that do not overlap, by where they begin.
class Touches {
 public:
  // visit(Touched&) for every interval that [begin, end) has been touched in; parts never touched become new ones
  template <typename Visit>
  void each(uint64_t begin, uint64_t end, const Visit& visit) {
    split(begin);
    split(end);
    uint64_t at = begin;
    for (auto i = map_.lower_bound(begin); at < end;) {
      if (i == map_.end() || i->first != at) {
        const uint64_t next = i == map_.end() ? end : std::min(end, i->first);
        i = map_.emplace_hint(i, at, Touched{next});
      }
      visit(i->second);
      at = i->second.end;
      ++i;
    }
  }

 private:
  // no interval spans at afterwards
  void split(uint64_t at) {
    auto i = map_.upper_bound(at);
    if (i == map_.begin()) return;
    --i;
    if (i->first == at || i->second.end <= at) return;
    Touched right = i->second;
    i->second.end = at;
    map_.emplace(at, right);
  }

  std::map<uint64_t, Touched> map_;
};

class Synchronizer {
 public:
  Synchronizer(std::vector<Instruction>& code, uint32_t ranks)
      : code_(code), ranks_(ranks), after_(code.size()), before_(code.size()) {}

  void run() {
    for (uint32_t i = 0; i < code_.size(); ++i) order(i);
    std::vector<Instruction> ordered;
    for (uint32_t i = 0; i < code_.size(); ++i) {
      const Queue queue = code_[i].queue;
      for (Command& command : before_[i]) ordered.push_back({queue, std::move(command), {}});
      ordered.push_back(std::move(code_[i]));
      if (after_[i].signalled) ordered.push_back({queue, Signal{after_[i].id}, {}});
    }
    code_ = std::move(ordered);
  }

 private:
  struct After {
    bool signalled = false;
    uint32_t id = 0;
    Clock clock{};  // what its queue knows once it is done
  };

  void order(uint32_t i) {
    const size_t queue = size_t(code_[i].queue);
    const std::vector<BufferAccess> accesses = accesses_of(code_[i], ranks_);
    Clock conflicts{};  // by queue, the last instruction that must be done
    for (const BufferAccess& a : accesses)
      touches_[a.buffer.arena].each(a.buffer.offset, a.end(), [&](const Touched& t) {
        if (t.written > 0) raise(conflicts, t.written);
        if (a.write)
          for (uint32_t position : t.read)
            if (position > 0) raise(conflicts, position);
      });
    wait_for(i, conflicts);
    for (const BufferAccess& a : accesses)
      touches_[a.buffer.arena].each(a.buffer.offset, a.end(), [&](Touched& t) {
        if (!a.write) t.read[queue] = i + 1;
        else t.written = i + 1, t.read = {};
      });
    after_[i].clock = known_[queue];
    after_[i].clock[queue] = i + 1;
  }

  void raise(Clock& conflicts, uint32_t position) const {
    uint32_t& last = conflicts[size_t(code_[position - 1].queue)];
    last = std::max(last, position);
  }

  // latest first: waiting for it may cover the others
  void wait_for(uint32_t i, const Clock& conflicts) {
    const size_t queue = size_t(code_[i].queue);
    Clock& known = known_[queue];
    std::array<uint32_t, kQueueCount> order;
    for (uint32_t q = 0; q < kQueueCount; ++q) order[q] = q;
    std::sort(order.begin(), order.end(), [&](uint32_t a, uint32_t b) { return conflicts[a] > conflicts[b]; });
    for (uint32_t other : order) {
      if (conflicts[other] <= known[other]) continue;
      if (other == queue) {
        before_[i].push_back(Barrier{});
        known[queue] = i;
      } else {
        After& from = after_[conflicts[other] - 1];
        if (!from.signalled) from.signalled = true, from.id = signals_++;
        before_[i].push_back(Wait{from.id});
        for (uint32_t q = 0; q < kQueueCount; ++q) known[q] = std::max(known[q], from.clock[q]);
      }
    }
  }

  std::vector<Instruction>& code_;
  uint32_t ranks_;
  std::vector<After> after_;
  std::vector<std::vector<Command>> before_;
  std::array<Clock, kQueueCount> known_{};  // by queue
  std::map<uint32_t, Touches> touches_;     // by arena
  uint32_t signals_ = 0;
};

}  // namespace

void synchronize(Program& program) {
  for (auto& range : program.ranges) Synchronizer(range, program.ranks).run();
}

}  // namespace tandem
