// A figure over the steps of a run, in at most 1500 buckets, and its quantiles: what stays of a million lines.
#pragma once

#include <cmath>
#include <cstdint>
#include <map>
#include <vector>

namespace tandem::report {

constexpr size_t kMostBuckets = 1500;

// Where a step stands on the axes that a plot may have.
struct Place {
  uint64_t step = 0;
  double tokens = 0;
  double seconds = 0;  // at work: steps, evaluations and saves so far
};

// Neighbouring steps, finite figures alone but for the counts.
struct Bucket {
  uint64_t index = 0;  // (step - 1) / width
  Place last_place;    // the furthest step in it
  uint64_t count = 0;  // figures, finite or not
  uint64_t not_finite = 0;
  double sum = 0, last = 0, least = 0, largest = 0;
  uint64_t last_step = 0, least_step = 0, largest_step = 0;

  uint64_t finite() const { return count - not_finite; }
  double mean() const { return finite() > 0 ? sum / double(finite()) : std::nan(""); }
  void merge(const Bucket& other);
};

// Buckets of 1, 2, 4, ... steps: above 1500 of them neighbours merge. A function of the figures and their order alone.
class Series {
 public:
  void add(const Place& place, double value);
  uint64_t width() const { return width_; }
  const std::vector<Bucket>& buckets() const { return buckets_; }
  bool empty() const { return buckets_.empty(); }

 private:
  void widen();

  uint64_t width_ = 1;
  std::vector<Bucket> buckets_;  // by index; buckets without figures are left out
};

// Quantiles of positive figures, exact to 0.25%: counts in cells whose bounds are 0.5% apart, and their means.
class Quantiles {
 public:
  void add(double value);
  uint64_t count() const { return count_; }
  double quantile(double share) const;  // NaN where there are no figures
  double median() const { return quantile(0.5); }

 private:
  struct Cell {
    uint64_t count = 0;
    double sum = 0;
  };
  double at_rank(uint64_t rank) const;  // from 0

  std::map<int, Cell> cells_;
  uint64_t count_ = 0;
};

}  // namespace tandem::report
