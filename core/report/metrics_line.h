// A line of metrics.jsonl as viewers read it: a step or an evaluation, with whatever fields it has.
#pragma once

#include <array>
#include <cstdint>
#include <limits>
#include <optional>
#include <string_view>

namespace tandem::report {

// The fields that viewers know; others are passed over.
enum class Field : uint8_t {
  loss,
  grad_norm,
  learning_rate,
  tokens,
  targets,
  seconds,
  tokens_per_second,
  mfu,
  memory,
  time,
  data_seconds,
  copy_seconds,
  save_seconds,
  scale_misses,
  scale_guesses,
  power,
  temperature,
  clock,
  energy,
};
constexpr size_t kFieldCount = size_t(Field::energy) + 1;
std::string_view name_of(Field field);

struct Line {
  bool evaluation = false;
  uint64_t step = 0;
  bool skipped = false;
  uint32_t present = 0, null = 0;  // bits by field: it stands there, and it is null
  std::array<double, kFieldCount> values{};

  bool has(Field f) const { return (present >> size_t(f) & 1) != 0; }
  bool is_null(Field f) const { return (null >> size_t(f) & 1) != 0; }
  // The figure; NaN where it is absent or null.
  double operator[](Field f) const {
    return has(f) && !is_null(f) ? values[size_t(f)] : std::numeric_limits<double>::quiet_NaN();
  }
};

// nullopt: not a JSON object with a step, or a known field has a wrong type.
std::optional<Line> parse_line(std::string_view text);

}  // namespace tandem::report
