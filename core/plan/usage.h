// What a plan takes, in sums over layers.
#pragma once

#include <algorithm>
#include <array>

#include "core/passes/compile.h"
#include "core/rates/cost_model.h"

namespace tandem {

// What a plan is judged by, as sums over layers go: bytes, and the seconds for which each range keeps the device, the
// copies to and from the host and the exchanges with other ranks busy.
struct Usage {
  struct Busy {
    double compute = 0, in = 0, out = 0, exchange = 0;  // in: host to device
    double latency = 0;                                 // what the range takes beyond the longest of them

    double longest() const { return std::max({compute, in, out, exchange}); }
    void add(const Busy& other, double times) {
      compute += times * other.compute;
      in += times * other.in;
      out += times * other.out;
      exchange += times * other.exchange;
      latency += times * other.latency;
    }
  };
  // Parts of the device's bytes that sums hold for. Of outside and inside the larger one counts, and of staging the
  // largest: each is a peak.
  double fixed = 0;                // what persists, what is beside the arenas, and gaps
  double outside = 0, inside = 0;  // transients at most: outside of layers (the LM head), in a layer
  static constexpr size_t kBackward = kRangeCount;
  std::array<double, kRangeCount + 1> staging{};  // by range; micro_step's backward pass is the last
  double host = 0;
  std::array<Busy, 3> ranges;  // begin, micro_step (the mean of a step's), update

  double device() const;
  Usage& add(const Usage& other, double times) {
    fixed += times * other.fixed;
    outside += times * other.outside;
    inside += times * other.inside;
    host += times * other.host;
    for (size_t r = 0; r < ranges.size(); ++r) ranges[r].add(other.ranges[r], times);
    for (size_t r = 0; r < staging.size(); ++r) staging[r] += times * other.staging[r];
    return *this;
  }
  double seconds(uint32_t accumulation) const;  // a step's
  double copies(uint32_t accumulation) const;   // seconds of a step's, each way
};

// The Target with room for any plan.
Target without_budget(Target target);

// What a compiled plan takes, its ranges taken apart. turns: what those of its schedule cost.
Usage usage_of(const Compiled& compiled, const Target& target, std::span<const ProgramCost> turns);
Usage usage_of(const Compiled& compiled, const Target& target);

}  // namespace tandem
