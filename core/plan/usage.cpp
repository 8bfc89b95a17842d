#include "core/plan/usage.h"

#include <algorithm>

namespace tandem {
namespace {

constexpr uint64_t kUnlimited = uint64_t{1} << 62;

// Bytes of live roots over the positions of each range.
class LiveBytes {
 public:
  template <typename Chosen>
  LiveBytes(const Storage& storage, const Chosen& chosen) {
    for (const Root& root : storage.roots) {
      if (!chosen(root)) continue;
      std::vector<double>& change = change_[size_t(root.live.range)];
      if (change.size() < root.live.last + 2) change.resize(root.live.last + 2);
      change[root.live.first] += double(root.bytes);
      change[root.live.last + 1] -= double(root.bytes);
    }
  }

  // the most of a range at positions that hold(position) is true of
  template <typename Holds>
  double most(Range range, const Holds& holds) const {
    const std::vector<double>& change = change_[size_t(range)];
    double live = 0, most = 0;
    for (uint32_t at = 0; at + 1 < change.size(); ++at)
      if ((live += change[at]) > most && holds(at)) most = live;
    return most;
  }

 private:
  std::array<std::vector<double>, kRangeCount> change_;
};

bool is_transient(const Root& root) {
  return !root.persistent && !root.host;
}

void add_peaks(const Compiled& compiled, Usage& usage) {
  std::array<std::vector<bool>, kRangeCount> in_layer, forward;  // by position
  for (const Node& node : compiled.graph.nodes()) {
    in_layer[size_t(node.range)].push_back(node.tag.layer != kNoLayer);
    forward[size_t(node.range)].push_back(node.tag.phase == Phase::forward);
  }
  const LiveBytes made(compiled.storage, [](const Root& r) { return is_transient(r) && !r.staging; });
  const LiveBytes copied(compiled.storage, [](const Root& r) { return is_transient(r) && r.staging; });
  for (size_t r = 0; r < kRangeCount; ++r) {
    const auto at = [&](bool layer) { return [&, layer](uint32_t p) { return in_layer[r][p] == layer; }; };
    usage.outside = std::max(usage.outside, made.most(Range(r), at(false)));
    usage.inside = std::max(usage.inside, made.most(Range(r), at(true)));
    usage.staging[r] = copied.most(Range(r), [&](uint32_t p) { return forward[r][p]; });
    if (Range(r) == Range::micro_step)
      usage.staging[Usage::kBackward] = copied.most(Range(r), [&](uint32_t p) { return !forward[r][p]; });
  }
}

Usage::Busy busy_of(const ProgramCost& cost) {
  const double copies = cost.of(CostKind::copy).seconds, exchange = cost.of(CostKind::exchange).seconds;
  double all = 0;
  for (const KindCost& c : cost.kinds) all += c.seconds;
  Usage::Busy busy{all - copies - exchange, cost.link_in, cost.link_out, exchange, 0};
  busy.latency = cost.seconds - busy.longest();
  return busy;
}

}  // namespace

double Usage::device() const {
  return fixed + std::max(outside, inside) + std::max(0.0, *std::ranges::max_element(staging));
}

double Usage::seconds(uint32_t accumulation) const {
  const auto range = [](const Busy& b) { return b.longest() + std::max(0.0, b.latency); };
  return range(ranges[0]) + accumulation * range(ranges[1]) + range(ranges[2]);
}

double Usage::copies(uint32_t accumulation) const {
  const auto range = [](const Busy& b) { return b.in + b.out; };
  return range(ranges[0]) + accumulation * range(ranges[1]) + range(ranges[2]);
}

Target without_budget(Target target) {
  target.memory_bytes = kUnlimited;
  target.host_memory_bytes = 0;
  return target;
}

Usage usage_of(const Compiled& compiled, const Target& target, std::span<const ProgramCost> turns) {
  Usage usage;
  usage.host = double(compiled.memory.host_bytes);
  const std::vector<Turns>& schedule = compiled.program.schedule;
  std::array<uint32_t, kRangeCount> times{};
  for (const Turns& one : schedule) times[size_t(one.turn.range)] += one.times;
  for (size_t i = 0; i < schedule.size(); ++i) {
    const size_t r = size_t(schedule[i].turn.range);
    usage.ranges[r].add(busy_of(turns[i]), double(schedule[i].times) / times[r]);
  }
  add_peaks(compiled, usage);
  usage.fixed = double(device_bytes(compiled.memory, target)) - usage.device();
  return usage;
}

Usage usage_of(const Compiled& compiled, const Target& target) {
  return usage_of(compiled, target, costs_of_turns(compiled.program, target.rates, Exposed::without));
}

}  // namespace tandem
