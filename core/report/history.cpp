#include "core/report/history.h"

#include <algorithm>
#include <cmath>
#include <utility>

namespace tandem::report {
namespace {

constexpr double kGapSeconds = 2;  // between two lines that nothing accounts for: another process went on
constexpr double kGapSteps = 10;

double or_zero(double value) {
  return std::isfinite(value) ? value : 0;
}

void add_if_there(Series& series, const Line& line, Field field, const Place& place) {
  if (line.has(field)) series.add(place, line[field]);
}

}  // namespace

double History::wall_seconds() const {
  if (!first_time || !last_time || !first) return std::nan("");
  return *last_time - *first_time + or_zero((*first)[Field::seconds]);
}

void History::mark_gap(const Line& line) {
  const double time = line[Field::time], seconds = or_zero(line[Field::seconds]);
  if (!std::isfinite(time) || !last_time) return;
  const double accounted = seconds + evaluating_since_ + or_zero(line[Field::save_seconds]);
  const double gap = time - *last_time - (accounted - evaluating_since_);
  if (gap > std::max(kGapSeconds, kGapSteps * seconds)) gaps.add(place, gap);
}

void History::add(const Line& line) {
  line.evaluation ? add_evaluation(line) : add_step(line);
  const double time = line[Field::time];
  if (!std::isfinite(time)) return;
  if (!first_time) first_time = time;
  last_time = time;
}

void History::add_step(const Line& line) {
  const double seconds = line[Field::seconds], saved = line[Field::save_seconds];
  if (last) mark_gap(line);
  if (std::isfinite(saved)) {  // behind the step before
    if (last) saves.add(place, saved);
    saving += saved;
  }
  place.step = line.step;
  if (line.has(Field::tokens)) place.tokens = line[Field::tokens];
  place.seconds += or_zero(seconds) + or_zero(saved);
  add_if_there(loss, line, Field::loss, place);
  add_if_there(grad_norm, line, Field::grad_norm, place);
  add_if_there(learning_rate, line, Field::learning_rate, place);
  add_if_there(tokens_per_second, line, Field::tokens_per_second, place);
  add_if_there(memory, line, Field::memory, place);
  add_if_there(power, line, Field::power, place);
  add_if_there(temperature, line, Field::temperature, place);
  step_seconds.add(seconds);
  rates.add(line[Field::tokens_per_second]);
  data_seconds.add(line[Field::data_seconds]);
  copy_seconds.add(line[Field::copy_seconds]);
  const double misses = line[Field::scale_misses], guesses = line[Field::scale_guesses];
  if (guesses > 0 && std::isfinite(misses)) {
    scale_misses.add(place, misses / guesses);
    scales_missed += misses;
    scales_guessed += guesses;
  }
  if (const double now = line[Field::energy]; std::isfinite(now)) {
    energy += now >= energy_before_ ? now - energy_before_ : now;  // a new process counts from 0
    energy_before_ = now;
  }
  largest_memory = std::max(largest_memory, or_zero(line[Field::memory]));
  const bool taught = !line.has(Field::targets) || line[Field::targets] > 0;
  if (line.skipped) skipped.add(place, 1), ++skipped_steps;
  if (taught) skipped_in_a_row = line.skipped ? skipped_in_a_row + 1 : 0;
  evaluating_since_ = 0;
  if (!first) first = line;
  last = line;
  recent.push_back(line);
  if (recent.size() > kRecent) recent.pop_front();
}

void History::add_evaluation(const Line& line) {
  const double value = line[Field::loss], seconds = or_zero(line[Field::seconds]);
  place.seconds += seconds;
  evaluating += seconds;
  evaluating_since_ += seconds;
  Place at = place;
  at.step = line.step;
  if (line.has(Field::loss)) evaluations.add(at, value);
  evaluation_seconds.add(at, seconds);
  if (last_evaluation) evaluations_rose = value > last_evaluation->loss ? evaluations_rose + 1 : 0;
  last_evaluation = {line.step, value, line[Field::tokens]};
  if (std::isfinite(value) && (!best_evaluation || value < best_evaluation->loss)) best_evaluation = last_evaluation;
}

bool RunLog::read() {
  bool changed = false;
  const auto news = file_.read([&](std::string_view text) { take(text); }, [&] { reset(); });
  changed = news == MetricsFile::News::lines || news == MetricsFile::News::restarted;
  gone_ = news == MetricsFile::News::gone;
  if (out_of_order_) sort_out();
  return changed;
}

void RunLog::reset() {
  history_ = std::make_unique<History>();
  lines_ = bad_ = first_bad_ = last_step_ = last_evaluation_ = 0;
  out_of_order_ = false;
}

void RunLog::take(std::string_view text) {
  ++lines_;
  const std::optional<Line> line = parse_line(text);
  if (!line) {
    if (bad_++ == 0) first_bad_ = lines_;
    return;
  }
  uint64_t& before = line->evaluation ? last_evaluation_ : last_step_;
  if (line->step <= before || (!line->evaluation && line->step <= last_evaluation_)) out_of_order_ = true;
  before = std::max(before, line->step);
  if (!out_of_order_) history_->add(*line);
}

// In the order of steps, an evaluation behind its step, of several lines the last.
void RunLog::sort_out() {
  struct Entry {
    uint64_t key, offset;
    uint32_t bytes;
  };
  std::vector<Entry> entries;
  uint64_t offset = 0;
  MetricsFile again(path_);
  const uint64_t end = file_.position();
  again.read(
      [&](std::string_view text) {
        const uint64_t at = std::exchange(offset, offset + text.size() + 1);
        if (at >= end) return;
        if (const auto line = parse_line(text))
          entries.push_back({2 * line->step + (line->evaluation ? 1 : 0), at, uint32_t(text.size())});
      },
      [] {});
  std::ranges::stable_sort(entries, {}, &Entry::key);
  history_ = std::make_unique<History>();
  for (size_t i = 0; i < entries.size(); ++i) {
    if (i + 1 < entries.size() && entries[i + 1].key == entries[i].key) continue;
    if (const auto line = parse_line(file_.text(entries[i].offset, entries[i].bytes))) history_->add(*line);
  }
  out_of_order_ = false;
}

}  // namespace tandem::report
