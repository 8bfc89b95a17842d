// What a plan takes, in sums over layers.
#pragma once

#include <algorithm>
#include <array>
#include <cmath>

#include "core/passes/compile.h"
#include "core/rates/cost_model.h"

namespace tandem {

// Bytes of a plan, in parts that add up over layers. Of outside and inside the larger one counts, and of staging the
// largest: each is a peak.
struct UsageBytes {
  double fixed = 0;                // what persists, what is beside the arenas, and gaps
  double outside = 0, inside = 0;  // transients at most: outside of layers (the LM head), in a layer
  static constexpr size_t kBackward = kRangeCount;
  std::array<double, kRangeCount + 1> staging{};  // by range; micro_step's backward pass is the last
  double host = 0;

  double device() const;
  UsageBytes& add(const UsageBytes& other, double times) {
    fixed += times * other.fixed;
    outside += times * other.outside;
    inside += times * other.inside;
    host += times * other.host;
    for (size_t r = 0; r < staging.size(); ++r) staging[r] += times * other.staging[r];
    return *this;
  }
};

// What a plan is judged by, as sums over layers go: bytes, and the seconds for which each part of a step keeps the
// device, the copies to and from the host and the exchanges with other ranks busy. Copies run few layers ahead: what
// one part leaves idle does not help the next.
struct Usage : UsageBytes {
  struct Busy : ProgramCost::Busy {
    double latency = 0;  // seconds beyond together(); negative where it takes less
    double stall = 0;    // seconds more, in the share of copies or exchanges in what is busy: see seconds()

    double beside() const { return std::max({in, out, exchange}); }  // the longest beside compute
    // Compute and the longest of what runs beside it, as their 8-norm: layers differ, and copies run few of them ahead.
    // It is 9% more than the longest where both are as busy, 2% where one has 80% of the other. Of 551 compiled plans
    // nine in ten have micro-steps within 2.5% of it.
    double together() const {
      const auto [less, most] = std::minmax({compute, beside()});
      return less < most / 4 ? most : std::sqrt(std::sqrt(std::sqrt(power(less) + power(most))));
    }
    // What the part takes: at least what takes longest.
    double seconds() const {
      const double share = beside() > 0 ? power(beside()) / (power(compute) + power(beside())) : 0;
      return std::max({compute, beside(), together() + latency + share * stall});
    }
    static double power(double x) { return x *= x, x *= x, x * x; }  // the eighth

    void add(const Busy& other, double times) {
      ProgramCost::Busy::add(other, times);
      latency += times * other.latency;
      stall += times * other.stall;
    }
  };
  enum Part : uint8_t { kBegin, kForwardPass, kBackwardPass, kUpdate, kParts };
  std::array<Busy, kParts> parts;  // micro_step's passes: the mean of a step's

  Usage& add(const Usage& other, double times) {
    UsageBytes::add(other, times);
    for (size_t p = 0; p < kParts; ++p) parts[p].add(other.parts[p], times);
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
