#include "core/report/series.h"

#include <algorithm>
#include <limits>

namespace tandem::report {

void Bucket::merge(const Bucket& other) {
  const bool mine = finite() > 0, others = other.finite() > 0;
  if (other.last_place.step > last_place.step) last_place = other.last_place;
  if (others && (!mine || other.last_step > last_step)) last = other.last, last_step = other.last_step;
  if (others && (!mine || other.least < least)) least = other.least, least_step = other.least_step;
  if (others && (!mine || other.largest > largest)) largest = other.largest, largest_step = other.largest_step;
  count += other.count;
  not_finite += other.not_finite;
  sum += other.sum;
}

void Series::add(const Place& place, double value) {
  Bucket one{.index = (place.step - 1) / width_, .last_place = place, .count = 1};
  if (std::isfinite(value)) {
    one.sum = one.last = one.least = one.largest = value;
    one.last_step = one.least_step = one.largest_step = place.step;
  } else {
    one.not_finite = 1;
  }
  if (buckets_.empty() || buckets_.back().index < one.index) {
    buckets_.push_back(one);
  } else {  // nearly always the last one
    const auto at = std::ranges::lower_bound(buckets_, one.index, {}, &Bucket::index);
    if (at->index == one.index) at->merge(one);
    else buckets_.insert(at, one);
  }
  while (buckets_.size() > kMostBuckets) widen();
}

void Series::widen() {
  width_ *= 2;
  size_t kept = 0;
  for (Bucket& bucket : buckets_) {
    bucket.index /= 2;
    if (kept > 0 && buckets_[kept - 1].index == bucket.index) buckets_[kept - 1].merge(bucket);
    else buckets_[kept++] = bucket;
  }
  buckets_.resize(kept);
}

namespace {

constexpr int kNothing = std::numeric_limits<int>::min();  // the cell of 0
const double kCell = std::log(1.005);

}  // namespace

void Quantiles::add(double value) {
  if (!std::isfinite(value) || value < 0) return;
  Cell& cell = cells_[value > 0 ? int(std::floor(std::log(value) / kCell)) : kNothing];
  ++cell.count;
  cell.sum += value;
  ++count_;
}

double Quantiles::at_rank(uint64_t rank) const {
  uint64_t before = 0;
  for (const auto& [index, cell] : cells_)
    if (before += cell.count; before > rank) return cell.sum / double(cell.count);
  return std::nan("");
}

// Between two ranks by a straight line, as NumPy has it.
double Quantiles::quantile(double share) const {
  if (count_ == 0) return std::nan("");
  const double place = share * double(count_ - 1);
  const uint64_t below = uint64_t(place);
  const double value = at_rank(below), part = place - double(below);
  return part > 0 ? value + part * (at_rank(below + 1) - value) : value;
}

}  // namespace tandem::report
