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
    if (const auto same = map_.find(begin); same != map_.end() && same->second.end == end) return visit(same->second);
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

struct After {
  bool signalled = false;
  uint32_t id = 0;
  Clock clock{};  // what its queue knows once it is done
};

// A range, and what its instructions must be put between.
struct Ordering {
  const std::vector<Instruction>& code;
  uint32_t ranks;
  std::vector<After> after = {};
  std::vector<std::vector<Command>> before = {};
  std::array<Clock, kQueueCount> known = {};  // by queue
  std::map<uint32_t, Touches> touches = {};   // by arena
  uint32_t signals = 0;
};

// By queue, the last instruction that must be done before the one at i, which touches its bytes.
Clock touch(Ordering& o, uint32_t i) {
  const size_t queue = size_t(o.code[i].queue);
  Clock conflicts{};
  const auto raise = [&](uint32_t position) {
    if (position == 0 || position == i + 1) return;
    uint32_t& last = conflicts[size_t(o.code[position - 1].queue)];
    last = std::max(last, position);
  };
  // What it writes comes first: that finds all that touched the same bytes before.
  const std::vector<BufferAccess> accesses = accesses_of(o.code[i], o.ranks);
  for (const bool write : {true, false})
    for (const BufferAccess& a : accesses) {
      if (a.write != write) continue;
      o.touches[a.buffer.arena].each(a.buffer.offset, a.end(), [&](Touched& t) {
        raise(t.written);
        if (!write) {
          t.read[queue] = i + 1;
          return;
        }
        for (const uint32_t position : t.read) raise(position);
        t.written = i + 1, t.read = {};
      });
    }
  return conflicts;
}

// The latest comes first: waiting for it may cover the others.
void wait_for(Ordering& o, uint32_t i, const Clock& conflicts) {
  const size_t queue = size_t(o.code[i].queue);
  Clock& known = o.known[queue];
  std::array<uint32_t, kQueueCount> order;
  for (uint32_t q = 0; q < kQueueCount; ++q) order[q] = q;
  std::sort(order.begin(), order.end(), [&](uint32_t a, uint32_t b) { return conflicts[a] > conflicts[b]; });
  for (uint32_t other : order) {
    if (conflicts[other] <= known[other]) continue;
    if (other == queue) {
      o.before[i].push_back(Barrier{});
      known[queue] = i;
    } else {
      After& from = o.after[conflicts[other] - 1];
      if (!from.signalled) from.signalled = true, from.id = o.signals++;
      o.before[i].push_back(Wait{from.id});
      for (uint32_t q = 0; q < kQueueCount; ++q) known[q] = std::max(known[q], from.clock[q]);
    }
  }
}

void order(Ordering& o, uint32_t i) {
  const size_t queue = size_t(o.code[i].queue);
  wait_for(o, i, touch(o, i));
  o.after[i].clock = o.known[queue];
  o.after[i].clock[queue] = i + 1;
}

std::vector<Instruction> ordered(std::vector<Instruction> code, uint32_t ranks) {
  Ordering o{code, ranks};
  o.after.resize(code.size());
  o.before.resize(code.size());
  for (uint32_t i = 0; i < code.size(); ++i) order(o, i);
  std::vector<Instruction> all;
  all.reserve(2 * code.size());
  for (uint32_t i = 0; i < code.size(); ++i) {
    const auto add = [&all, queue = code[i].queue, backward = code[i].backward](Command command) {
      all.push_back({queue, std::move(command), {}, When::each, backward});
    };
    for (Command& command : o.before[i]) add(std::move(command));
    all.push_back(std::move(code[i]));
    if (o.after[i].signalled) add(Signal{o.after[i].id});
  }
  return all;
}

}  // namespace

void synchronize(Program& program) {
  for (auto& range : program.ranges) range = ordered(std::move(range), program.ranks);
}

}  // namespace tandem
