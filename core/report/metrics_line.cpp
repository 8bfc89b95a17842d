#include "core/report/metrics_line.h"

#include <cmath>
#include <nlohmann/json.hpp>
#include <string>

namespace tandem::report {
namespace {

enum class Type : uint8_t { number, count };

struct Known {
  std::string_view name;
  Type type;
};
constexpr Known kKnown[] = {
    {"loss", Type::number},
    {"grad_norm", Type::number},
    {"learning_rate", Type::number},
    {"tokens", Type::count},
    {"targets", Type::count},
    {"seconds", Type::number},
    {"tokens_per_second", Type::number},
    {"mfu", Type::number},
    {"memory", Type::count},
    {"time", Type::number},
    {"data_seconds", Type::number},
    {"copy_seconds", Type::number},
    {"save_seconds", Type::number},
    {"scale_misses", Type::count},
    {"scale_guesses", Type::count},
    {"power", Type::number},
    {"temperature", Type::number},
    {"clock", Type::number},
    {"energy", Type::number},
};
static_assert(std::size(kKnown) == kFieldCount);

// What the key read last names.
constexpr int kUnknown = -1, kStep = -2, kSkipped = -3, kEval = -4;

int target_of(std::string_view key, bool in_evaluation) {
  if (key == "step") return kStep;
  if (!in_evaluation && key == "skipped") return kSkipped;
  if (!in_evaluation && key == "eval") return kEval;
  for (size_t f = 0; f < kFieldCount; ++f)
    if (kKnown[f].name == key) return int(f);
  return kUnknown;
}

// Takes the parts of a line as they are parsed; every function returns false to give the line up.
class Handler : public nlohmann::json_sax<nlohmann::json> {
 public:
  explicit Handler(Line& line) : line_(line) {}
  bool complete() const { return has_step_; }

  bool null() override {
    if (!known()) return true;
    if (target_ < 0) return false;
    line_.present |= 1u << target_;
    line_.null |= 1u << target_;
    return true;
  }
  bool boolean(bool value) override {
    if (!known()) return true;
    if (target_ != kSkipped) return false;
    line_.skipped = value;
    return true;
  }
  bool number_integer(number_integer_t value) override { return number(double(value), value >= 0); }
  bool number_unsigned(number_unsigned_t value) override {
    if (!known()) return true;
    if (target_ != kStep) return number(double(value), true);
    line_.step = value;
    has_step_ = value > 0;
    return has_step_;
  }
  bool number_float(number_float_t value, const string_t&) override { return number(value, false); }
  bool string(string_t&) override { return !known(); }
  bool binary(binary_t&) override { return !known(); }
  bool start_object(std::size_t) override {
    if (depth_ > 0 && known() && target_ != kEval) return false;
    if (depth_ == 1 && target_ == kEval) {
      inside_ = line_.evaluation = true;
      has_step_ = false;
    }
    return ++depth_ <= kDepth;
  }
  bool key(string_t& text) override {
    if (at_fields()) target_ = target_of(text, inside_);
    return true;
  }
  bool end_object() override {
    if (--depth_ == 1 && inside_) inside_ = false, outside_ = true;
    return true;
  }
  bool start_array(std::size_t) override {
    if (depth_ == 0 || known()) return false;
    return ++depth_ <= kDepth;
  }
  bool end_array() override { return --depth_, true; }
  bool parse_error(std::size_t, const std::string&, const nlohmann::detail::exception&) override { return false; }

 private:
  static constexpr int kDepth = 100;

  bool at_fields() const { return inside_ ? depth_ == 2 : depth_ == 1; }
  // True if the value being read belongs to a known key of the line; what stands beside an evaluation says nothing.
  bool known() const { return depth_ == 0 || (at_fields() && !outside_ && target_ != kUnknown); }
  bool number(double value, bool is_count) {
    if (!known()) return true;
    if (depth_ == 0 || target_ < 0 || !std::isfinite(value)) return false;
    if (kKnown[target_].type == Type::count && !is_count) return false;
    line_.present |= 1u << target_;
    line_.null &= ~(1u << target_);
    line_.values[size_t(target_)] = value;
    return true;
  }

  Line& line_;
  int depth_ = 0, target_ = kUnknown;
  bool inside_ = false, outside_ = false;  // the object of an evaluation; behind it
  bool has_step_ = false;
};

}  // namespace

std::string_view name_of(Field field) {
  return kKnown[size_t(field)].name;
}

std::optional<Line> parse_line(std::string_view text) {
  Line line;
  Handler handler(line);
  if (!nlohmann::json::sax_parse(text.begin(), text.end(), &handler) || !handler.complete()) return {};
  return line;
}

}  // namespace tandem::report
