#include "tests/support/fill.h"

#include <algorithm>
#include <limits>
#include <numbers>

namespace tandem::test {

Random::Random(std::string_view seed) : state_(0xcbf29ce484222325u) {
  for (char c : seed) state_ = (state_ ^ static_cast<unsigned char>(c)) * 0x100000001b3u;
}

uint64_t Random::next() {
  uint64_t z = state_ += 0x9e3779b97f4a7c15u;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
  return z ^ (z >> 31);
}

double Random::uniform() {
  return (double(next() >> 11) + 0.5) * 0x1p-53;
}

double Random::normal() {
  const double radius = std::sqrt(-2 * std::log(uniform()));
  return radius * std::cos(2 * std::numbers::pi * uniform());
}

Filler normal(double scale, double mean) {
  return [=](Tensor& x, Random& random) {
    for (uint64_t i = 0; i < x.size(); ++i) x.set(i, mean + scale * random.normal());
  };
}

Filler constant(double value) {
  return [=](Tensor& x, Random&) {
    for (uint64_t i = 0; i < x.size(); ++i) x.set(i, value);
  };
}

Filler zeros() {
  return constant(0);
}

Filler codes() {
  return [](Tensor& x, Random& random) {
    for (uint64_t i = 0; i < x.size(); ++i) {
      do x.set_bits(i, uint32_t(random.next()));
      while (!std::isfinite(x.get(i)));
    }
  };
}

Filler put(Filler base, std::vector<std::pair<uint64_t, double>> elements) {
  return [=](Tensor& x, Random& random) {
    base(x, random);
    for (const auto& [i, value] : elements) x.set(i, value);
  };
}

Filler words(std::vector<uint32_t> values) {
  return [=](Tensor& x, Random&) {
    for (uint64_t i = 0; i < x.size(); ++i) x.set_bits(i, i < values.size() ? values[i] : 0);
  };
}

Filler integers(int64_t low, int64_t high) {
  return [=](Tensor& x, Random& random) {
    for (uint64_t i = 0; i < x.size(); ++i) x.set(i, double(low + int64_t(random.below(uint64_t(high - low)))));
  };
}

Filler positions(uint64_t length, std::vector<uint64_t> starts) {
  return [=](Tensor& x, Random&) {
    int32_t position = 0;
    for (uint64_t i = 0; i < x.size(); ++i) {
      if (i % length == 0 || std::find(starts.begin(), starts.end(), i) != starts.end()) position = 0;
      x.set(i, position++);
    }
  };
}

Filler odd_rows(double huge) {
  return [=](Tensor& x, Random& random) {
    const uint64_t columns = x.desc().shape.back();
    for (uint64_t i = 0; i < x.size(); ++i) {
      const uint64_t kind = i / columns % 6;
      const bool chosen = i % columns == columns / 3;
      double value = random.normal();
      if (kind == 0) value = 0;
      if (kind == 1 && chosen) value = huge;
      if (kind == 2) value = 1e-40;
      if (kind == 3 && chosen) value = std::numeric_limits<double>::quiet_NaN();
      if (kind == 4 && chosen) value = std::numeric_limits<double>::infinity();
      x.set(i, value);
    }
  };
}

}  // namespace tandem::test
