#include "core/plan/usage.h"

#include <algorithm>
#include <bit>
#include <map>

#include "core/rates/cost_model.h"

namespace tandem {
namespace {

constexpr uint64_t kUnlimited = uint64_t{1} << 62;

// Bytes of live roots over the positions of each range.
class LiveBytes {
 public:
  template <typename Chosen>
  LiveBytes(const Storage& storage, const Chosen& chosen) {
    for (const Root& root : storage.roots)
      if (chosen(root)) {
        change_[size_t(root.live.range)][root.live.first] += double(root.bytes);
        change_[size_t(root.live.range)][root.live.last + 1] -= double(root.bytes);
      }
  }

  // the most of a range at positions that hold(position) is true of; the live bytes change at few of them
  template <typename Holds>
  double most(Range range, uint32_t positions, const Holds& holds) const {
    double live = 0, most = 0;
    auto next = change_[size_t(range)].begin();
    for (uint32_t at = 0; at < positions; ++at) {
      for (; next != change_[size_t(range)].end() && next->first <= at; ++next) live += next->second;
      if (live > most && holds(at)) most = live;
    }
    return most;
  }

 private:
  std::array<std::map<uint32_t, double>, kRangeCount> change_;
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
    const uint32_t positions = uint32_t(in_layer[r].size());
    const auto at = [&](bool layer) { return [&, layer](uint32_t p) { return in_layer[r][p] == layer; }; };
    usage.outside = std::max(usage.outside, made.most(Range(r), positions, at(false)));
    usage.inside = std::max(usage.inside, made.most(Range(r), positions, at(true)));
    usage.staging[r] = copied.most(Range(r), positions, [&](uint32_t p) { return forward[r][p]; });
    if (Range(r) == Range::micro_step)
      usage.staging[Usage::kBackward] = copied.most(Range(r), positions, [&](uint32_t p) { return !forward[r][p]; });
  }
}

Usage::Busy busy_of(const ProgramCost& cost) {
  const double copies = cost.of(CostKind::copy).seconds;
  double all = 0;
  for (const KindCost& c : cost.kinds) all += c.seconds;
  Usage::Busy busy{all - copies, cost.link_in, cost.link_out, 0};
  busy.latency = cost.seconds - std::max({busy.compute, busy.in, busy.out});
  return busy;
}

}  // namespace

Usage& Usage::add(const Usage& other, double times) {
  using Sums = std::array<double, sizeof(Usage) / sizeof(double)>;
  Sums sums = std::bit_cast<Sums>(*this);
  const Sums more = std::bit_cast<Sums>(other);
  for (size_t i = 0; i < sums.size(); ++i) sums[i] += times * more[i];
  return *this = std::bit_cast<Usage>(sums);
}

double Usage::device() const {
  return fixed + std::max(outside, inside) + std::max(0.0, *std::ranges::max_element(staging));
}

double Usage::seconds(uint32_t accumulation) const {
  const auto range = [](const Busy& b) { return std::max({b.compute, b.in, b.out}) + std::max(0.0, b.latency); };
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

Usage usage_of(const Compiled& compiled, const Target& target) {
  Usage usage;
  usage.host = double(compiled.memory.host_bytes);
  std::array<uint32_t, kRangeCount> times{};
  for (const Turns& turns : compiled.program.schedule) times[size_t(turns.turn.range)] += turns.times;
  for (const Turns& turns : compiled.program.schedule) {
    const size_t r = size_t(turns.turn.range);
    usage.ranges[r].add(busy_of(cost_of(compiled.program, turns.turn, target.rates)), double(turns.times) / times[r]);
  }
  add_peaks(compiled, usage);
  usage.fixed = double(device_bytes(compiled.memory, target)) - usage.device();
  return usage;
}

}  // namespace tandem
