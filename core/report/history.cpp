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

bool guessed_scales(const Line& line) {
  return line[Field::scale_guesses] > 0 && std::isfinite(line[Field::scale_misses]);
}

void add_if_there(Series& series, const Line& line, Field field, const Place& place) {
  if (line.has(field)) series.add(place, line[field]);
}

}  // namespace

void StepSeries::add(const Place& place, const Line& line) {
  add_if_there(loss, line, Field::loss, place);
  add_if_there(grad_norm, line, Field::grad_norm, place);
  add_if_there(learning_rate, line, Field::learning_rate, place);
  add_if_there(tokens_per_second, line, Field::tokens_per_second, place);
  add_if_there(memory, line, Field::memory, place);
  add_if_there(power, line, Field::power, place);
  add_if_there(temperature, line, Field::temperature, place);
  if (guessed_scales(line)) scale_misses.add(place, line[Field::scale_misses] / line[Field::scale_guesses]);
}

void StepQuantiles::add(const Line& line) {
  seconds.add(line[Field::seconds]);
  rates.add(line[Field::tokens_per_second]);
  data_seconds.add(line[Field::data_seconds]);
  copy_seconds.add(line[Field::copy_seconds]);
}

void Evaluations::add(const Place& place, const Line& line) {
  const double loss = line[Field::loss];
  if (line.has(Field::loss)) losses.add(place, loss);
  if (last) rose = loss > last->loss ? rose + 1 : 0;
  last = {line.step, loss, line[Field::tokens]};
  if (std::isfinite(loss) && (!best || loss < best->loss)) best = last;
}

void Energy::read(double now) {
  if (!std::isfinite(now)) return;
  joules += now >= meter ? now - meter : now;
  meter = now;
}

void Totals::add_step(const Line& line) {
  if (line.skipped) ++skipped_steps;
  saving += or_zero(line[Field::save_seconds]);
  if (guessed_scales(line)) {
    scales_missed += line[Field::scale_misses];
    scales_guessed += line[Field::scale_guesses];
  }
  energy.read(line[Field::energy]);
  largest_memory = std::max(largest_memory, or_zero(line[Field::memory]));
}

double Ends::wall_seconds() const {
  if (!first_time || !last_time || !first) return std::nan("");
  return *last_time - *first_time + or_zero((*first)[Field::seconds]);
}

void History::mark_gap(const Line& line) {
  const double time = line[Field::time], seconds = or_zero(line[Field::seconds]);
  if (!std::isfinite(time) || !ends.last_time) return;
  const double accounted = seconds + evaluating_since_ + or_zero(line[Field::save_seconds]);
  const double gap = time - *ends.last_time - (accounted - evaluating_since_);
  if (gap > std::max(kGapSeconds, kGapSteps * seconds)) marks.gaps.add(place, gap);
}

void History::add(const Line& line) {
  line.evaluation ? add_evaluation(line) : add_step(line);
  const double time = line[Field::time];
  if (!std::isfinite(time)) return;
  if (!ends.first_time) ends.first_time = time;
  ends.last_time = time;
}

void History::add_step(const Line& line) {
  const double saved = line[Field::save_seconds];
  if (ends.last) mark_gap(line);
  if (ends.last && std::isfinite(saved)) marks.saves.add(place, saved);  // behind the step before
  place.step = line.step;
  if (line.has(Field::tokens)) place.tokens = line[Field::tokens];
  place.seconds += or_zero(line[Field::seconds]) + or_zero(saved);
  series.add(place, line);
  quantiles.add(line);
  totals.add_step(line);
  const bool taught = !line.has(Field::targets) || line[Field::targets] > 0;
  if (line.skipped) marks.skipped.add(place, 1);
  if (taught) skipped_in_a_row = line.skipped ? skipped_in_a_row + 1 : 0;
  evaluating_since_ = 0;
  if (!ends.first) ends.first = line;
  ends.last = line;
  recent.push_back(line);
  if (recent.size() > kRecent) recent.pop_front();
}

void History::add_evaluation(const Line& line) {
  const double seconds = or_zero(line[Field::seconds]);
  place.seconds += seconds;
  totals.evaluating += seconds;
  evaluating_since_ += seconds;
  Place at = place;
  at.step = line.step;
  evaluations.add(at, line);
  marks.evaluation_seconds.add(at, seconds);
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
