#include "core/plan/usage.h"

#include <algorithm>

#include "core/passes/live_bytes.h"

namespace tandem {
namespace {

constexpr uint64_t kUnlimited = uint64_t{1} << 62;

LiveBytes live_transients(const Storage& storage, bool staging) {
  return {storage, [&](uint32_t r) { return storage.roots[r].is_transient(staging) ? storage.roots[r].bytes : 0; }};
}

void add_peaks(const Compiled& compiled, Usage& usage) {
  std::array<std::vector<bool>, kRangeCount> in_layer, forward;  // by position
  for (const Node& node : compiled.graph.nodes()) {
    in_layer[size_t(node.range)].push_back(node.tag.layer != kNoLayer);
    forward[size_t(node.range)].push_back(node.tag.phase == Phase::forward);
  }
  const LiveBytes made = live_transients(compiled.storage, false), copied = live_transients(compiled.storage, true);
  for (size_t r = 0; r < kRangeCount; ++r) {
    const auto most = [r](const LiveBytes& live, const std::vector<bool>& of, bool value) {
      return double(live.peak(Range(r), [&](uint32_t p) { return of[p] == value; }).bytes);
    };
    usage.outside = std::max(usage.outside, most(made, in_layer[r], false));
    usage.inside = std::max(usage.inside, most(made, in_layer[r], true));
    usage.staging[r] = most(copied, forward[r], true);
    if (Range(r) == Range::micro_step) usage.staging[Usage::kBackward] = most(copied, forward[r], false);
  }
}

// Adds what a turn takes: what it does beyond its parts' together() is the latency of the last one.
void add_busy(const ProgramCost& cost, Range range, double times, Usage& usage) {
  const size_t first = range == Range::begin        ? Usage::kBegin
                       : range == Range::micro_step ? Usage::kForwardPass
                                                    : Usage::kUpdate;
  Usage::Busy forward{cost.passes[0]}, backward{cost.passes[1]};
  Usage::Busy& last = range == Range::micro_step ? backward : forward;
  last.latency = cost.seconds - forward.together() - backward.together();
  usage.parts[first].add(forward, times);
  if (range == Range::micro_step) usage.parts[Usage::kBackwardPass].add(backward, times);
}

}  // namespace

double UsageBytes::device() const {
  return fixed + std::max(outside, inside) + std::max(0.0, *std::ranges::max_element(staging));
}

double Usage::seconds(uint32_t accumulation) const {
  return parts[kBegin].seconds() + accumulation * (parts[kForwardPass].seconds() + parts[kBackwardPass].seconds()) +
         parts[kUpdate].seconds();
}

double Usage::copies(uint32_t accumulation) const {
  const auto part = [&](Part p) { return parts[p].in + parts[p].out; };
  return part(kBegin) + accumulation * (part(kForwardPass) + part(kBackwardPass)) + part(kUpdate);
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
    add_busy(turns[i], schedule[i].turn.range, double(schedule[i].times) / times[r], usage);
  }
  add_peaks(compiled, usage);
  usage.fixed = double(device_bytes(compiled.memory, target)) - usage.device();
  return usage;
}

Usage usage_of(const Compiled& compiled, const Target& target) {
  return usage_of(compiled, target, costs_of_turns(compiled.program, target.rates, Exposed::without));
}

}  // namespace tandem
