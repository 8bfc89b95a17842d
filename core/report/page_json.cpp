#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <functional>

#include "core/report/page.h"
#include "core/report/shares.h"
#include "core/report/text.h"

namespace tandem::report {
namespace {

// What is written of a series: a mark has no range, and no one asks for the last of a device's figures.
enum class Columns : uint8_t { all, no_last, mean };

using Value = std::function<std::string(const Bucket&)>;

std::string column(const Series& series, const char* name, const Value& value) {
  std::string out = fmt::format(",\"{}\":[", name);
  for (const Bucket& b : series.buckets()) out += (&b == &series.buckets().front() ? "" : ",") + value(b);
  return out + "]";
}

std::string if_finite(const Bucket& b, double value) {
  return b.finite() > 0 && std::isfinite(value) ? fmt::format("{:.5g}", value) : "null";
}

std::string back(const Bucket& b, uint64_t step) {
  return b.finite() > 0 ? fmt::format("{}", b.last_place.step - step) : "null";
}

std::span<const Bucket> all_but_last(const Series& s) {
  return std::span(s.buckets()).first(s.buckets().size() - 1);
}

bool same_places(const Series& a, const Series& b) {
  return std::ranges::equal(
      a.buckets(), b.buckets(), {}, [](const Bucket& x) { return x.last_place.step; },
      [](const Bucket& x) { return x.last_place.step; });
}

// Columns by bucket. Buckets of one step have one figure: then least, largest, last and their steps are left out, as is
// a count of one each, and counts that are all the width but the last. Places that are those of `places` are left out
// too, and a mark has its step alone.
std::string series_json(const Series& s, const Series& places, Columns columns) {
  std::string out = fmt::format("{{\"width\":{}", s.width());
  if (&s == &places || !same_places(s, places)) {
    out += column(s, "step", [](const Bucket& b) { return fmt::format("{}", b.last_place.step); });
    if (columns != Columns::mean) {
      out += column(s, "tokens", [](const Bucket& b) { return fmt::format("{:.0f}", b.last_place.tokens); });
      out += column(s, "seconds", [](const Bucket& b) { return fmt::format("{:.5g}", b.last_place.seconds); });
    }
  } else {
    out += ",\"places\":\"loss\"";
  }
  out += column(s, "mean", [](const Bucket& b) { return if_finite(b, b.mean()); });
  if (s.width() > 1 && columns != Columns::mean) {
    out += column(s, "least", [](const Bucket& b) { return if_finite(b, b.least); });
    out += column(s, "largest", [](const Bucket& b) { return if_finite(b, b.largest); });
    if (columns == Columns::all) out += column(s, "last", [](const Bucket& b) { return if_finite(b, b.last); });
    if (std::ranges::any_of(all_but_last(s), [&](const Bucket& b) { return b.count != s.width(); }))
      out += column(s, "count", [](const Bucket& b) { return fmt::format("{}", b.count); });
    else out += fmt::format(",\"last_count\":{}", s.buckets().back().count);
    if (std::ranges::any_of(s.buckets(), [](const Bucket& b) { return b.not_finite > 0; }))
      out += column(s, "not_finite", [](const Bucket& b) { return fmt::format("{}", b.not_finite); });
    // How many steps before the last one these stand.
    out += column(s, "least_back", [](const Bucket& b) { return back(b, b.least_step); });
    out += column(s, "largest_back", [](const Bucket& b) { return back(b, b.largest_step); });
  }
  return out + "}";
}

std::string all_series(const History& h) {
  std::string out;
  const auto add = [&](const char* name, const Series& series, Columns columns = Columns::all) {
    if (!series.empty())
      out += fmt::format("{}\"{}\":{}", out.empty() ? "" : ",", name, series_json(series, h.series.loss, columns));
  };
  add("loss", h.series.loss);
  add("grad_norm", h.series.grad_norm);
  add("learning_rate", h.series.learning_rate);
  add("tokens_per_second", h.series.tokens_per_second);
  add("evaluations", h.evaluations.losses);
  add("scale_misses", h.series.scale_misses, Columns::no_last);
  add("power", h.series.power, Columns::no_last);
  add("temperature", h.series.temperature, Columns::no_last);
  add("skipped", h.marks.skipped, Columns::mean);
  add("saves", h.marks.saves, Columns::mean);
  add("evaluation_seconds", h.marks.evaluation_seconds, Columns::mean);
  add("gaps", h.marks.gaps, Columns::mean);
  return "{" + out + "}";
}

std::string evaluation_json(const std::optional<Evaluation>& e) {
  if (!e) return "null";
  return fmt::format("{{\"step\":{},\"loss\":{},\"tokens\":{}}}", e->step, json_exact(e->loss), json_exact(e->targets));
}

std::string verdict_json(const RunView& run) {
  const History& h = run.history();
  return fmt::format(
      "{{\"state\":\"{}\",\"steps\":{},\"step\":{},\"tokens\":{},\"loss\":{},\"last_evaluation\":{},\"best_"
      "evaluation\":{},"
      "\"wall_seconds\":{},\"median_seconds\":{},\"median_tokens_per_second\":{},\"slow_tokens_per_second\":{},"
      "\"energy\":{},\"memory\":{},\"skipped\":{},\"evaluating_seconds\":{},\"saving_seconds\":{},\"median_data_"
      "seconds\":{},"
      "\"median_copy_seconds\":{},\"scale_misses\":{},\"scale_guesses\":{},\"bad_lines\":{},\"first_bad_line\":{}}}",
      name_of(run.state), run.steps(), h.place.step, json_exact(h.place.tokens),
      h.ends.last ? json_exact((*h.ends.last)[Field::loss]) : "null", evaluation_json(h.evaluations.last),
      evaluation_json(h.evaluations.best), json_number(h.ends.wall_seconds()),
      json_number(h.quantiles.seconds.median()), json_number(h.quantiles.rates.median()),
      json_number(h.quantiles.rates.quantile(0.05)), json_number(h.totals.energy.joules),
      json_exact(h.totals.largest_memory), h.totals.skipped_steps, json_number(h.totals.evaluating),
      json_number(h.totals.saving), json_number(h.quantiles.data_seconds.median()),
      json_number(h.quantiles.copy_seconds.median()), json_exact(h.totals.scales_missed),
      json_exact(h.totals.scales_guessed), run.log->bad_lines(), run.log->first_bad_line());
}

std::string time_json(const StepTime& time) {
  if (time.empty()) return "null";
  std::string parts;
  for (const TimePart& p : time.parts)
    parts += fmt::format("{}{{\"name\":{},\"seconds\":{},\"floor\":{}}}", parts.empty() ? "" : ",", json_string(p.name),
                         json_number(p.seconds), json_number(p.floor));
  return fmt::format("{{\"median\":{},\"measured\":{},\"scale\":{},\"parts\":[{}]}}", json_number(time.median),
                     time.measured, json_number(time.scale), parts);
}

std::string bytes_json(const Bytes& bytes) {
  if (bytes.empty()) return "null";
  std::string parts;
  for (const BytePart& p : bytes.parts)
    parts += fmt::format("{}{{\"name\":\"{}\",\"device\":{},\"host\":{}}}", parts.empty() ? "" : ",", p.name, p.device,
                         p.host);
  return fmt::format("{{\"device\":{},\"host\":{},\"device_budget\":{},\"host_budget\":{},\"parts\":[{}]}}",
                     bytes.device, bytes.host, bytes.device_budget, bytes.host_budget, parts);
}

}  // namespace

std::string page_json(std::span<const RunView> runs) {
  std::string out = "{\"runs\":[";
  for (const RunView& run : runs)
    out += fmt::format("{}{{\"name\":{},\"verdict\":{},\"series\":{},\"time\":{},\"bytes\":{}}}",
                       &run == &runs.front() ? "" : ",\n", json_string(run.name), verdict_json(run),
                       all_series(run.history()), time_json(step_time(run.history(), run.files)),
                       bytes_json(bytes_of(run.files)));
  return out + "]}";
}

}  // namespace tandem::report
