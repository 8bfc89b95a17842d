#include "core/report/page.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <set>

#include "core/report/bars.h"
#include "core/report/page_assets.h"
#include "core/report/plot.h"
#include "core/report/text.h"

namespace tandem::report {
namespace {

using Runs = std::span<const RunView>;

std::string section(const std::string& id, const std::string& heading, const std::string& body) {
  return fmt::format("<section aria-labelledby=\"{}-heading\">\n<h2 id=\"{}-heading\">{}</h2>\n{}</section>\n", id, id,
                     heading, body);
}

std::string note(const std::string& text) {
  return fmt::format("<p class=\"note\">{}</p>\n", escaped(text));
}

// The name of a run where there are several.
std::string title_of(Runs runs, const RunView& run) {
  return runs.size() > 1 ? run.name : "";
}

std::string evaluation_words(const History& h) {
  if (!h.evaluations.last) return "There was no evaluation";
  const Evaluation& last = *h.evaluations.last;
  if (!std::isfinite(last.loss))
    return fmt::format("The last evaluation, at step {}, is not finite", whole(double(last.step)));
  std::string text = fmt::format("The last evaluation is {} at step {}", figure(last.loss), whole(double(last.step)));
  const Evaluation& best = *h.evaluations.best;
  return text + (best.step == last.step
                     ? ", the best so far"
                     : fmt::format("; the best is {} at step {}", figure(best.loss), whole(double(best.step))));
}

// Two sentences: how the run stands, and how it went.
std::string verdict(const RunView& run) {
  const History& h = run.history();
  const std::string of = run.steps() > 0 ? fmt::format(" of {}", whole(double(run.steps()))) : "";
  std::string text = fmt::format("{}{} steps, {} tokens", whole(double(h.place.step)), of, whole(h.place.tokens));
  if (std::isfinite(h.ends.wall_seconds())) text += fmt::format(" in {}", duration(h.ends.wall_seconds()));
  if (run.state == State::diverged)
    text += fmt::format("; the last {} steps had a loss or gradient norm that is not finite", h.skipped_in_a_row);
  text += fmt::format(". {}; the median step makes {} tokens/s, and one in twenty at most {}", evaluation_words(h),
                      whole(h.quantiles.rates.median()), whole(h.quantiles.rates.quantile(0.05)));
  if (h.totals.energy.joules > 0) text += fmt::format("; {} kWh", figure(h.totals.energy.joules / 3.6e6, 3));
  return text + ".";
}

std::string tile(const std::string& name, const std::string& value, const std::string& more = "") {
  return fmt::format("<div><dt>{}</dt><dd>{}{}</dd></div>", name, value,
                     more.empty() ? "" : fmt::format(" <small>{}</small>", more));
}

std::string tiles(const RunView& run) {
  const History& h = run.history();
  std::string out = "<dl class=\"tiles\">";
  if (h.ends.last) out += tile("loss", figure((*h.ends.last)[Field::loss]), "last step");
  if (h.evaluations.last)
    out += tile("evaluation", figure(h.evaluations.last->loss),
                fmt::format("step {}", whole(double(h.evaluations.last->step))));
  out += tile("speed", short_count(std::round(h.quantiles.rates.median())), "tokens/s");
  out += tile("median step", duration(h.quantiles.seconds.median()));
  if (h.totals.largest_memory > 0) out += tile("device memory", bytes_text(h.totals.largest_memory));
  if (h.totals.skipped_steps > 0)
    out += tile("skipped", whole(double(h.totals.skipped_steps)), h.totals.skipped_steps == 1 ? "step" : "steps");
  return out + "</dl>\n";
}

std::string bad_lines(const RunView& run) {
  if (run.log->bad_lines() == 0) return "";
  return note(fmt::format("{}: {} {} of metrics.jsonl could not be read and {} left out; the first is line {}.",
                          run.name, run.log->bad_lines(), run.log->bad_lines() == 1 ? "line" : "lines",
                          run.log->bad_lines() == 1 ? "is" : "are", run.log->first_bad_line()));
}

std::string verdicts(Runs runs) {
  std::string out;
  for (const RunView& run : runs) {
    const size_t i = size_t(&run - runs.data());
    out += "<div class=\"run\">";
    if (runs.size() > 1) out += fmt::format("<h3><i class=\"sw c{} d{}\"></i>{}</h3>", i, i, escaped(run.name));
    out += fmt::format("<p class=\"verdict\"><strong class=\"state {}\">{}</strong> {}</p>\n", name_of(run.state),
                       name_of(run.state), escaped(verdict(run)));
    out += tiles(run) + bad_lines(run) + "</div>\n";
  }
  return out;
}

std::string legend(Runs runs) {
  if (runs.size() < 2) return "";
  std::string out = "<ul class=\"legend\">";
  for (size_t i = 0; i < runs.size(); ++i)
    out += fmt::format(
        "<li><button type=\"button\" data-toggle=\"{}\" aria-pressed=\"true\"><i class=\"sw c{} "
        "d{}\"></i>{}</button></li>",
        i, i, i, escaped(runs[i].name));
  return out + "</ul>\n";
}

// Shown by the script, which they steer.
std::string controls() {
  return "<form id=\"controls\" hidden><label>Axis <select name=\"x\"><option>tokens</option><option>steps</option>"
         "<option>hours</option></select></label><label>Smoothing <input type=\"range\" name=\"smooth\" min=\"0\" "
         "max=\"99\" value=\"0\"></label><label><input type=\"checkbox\" name=\"log\"> Logarithmic</label>"
         "<span class=\"hint\">Drag to zoom, double-click to zoom out, arrow keys read the curves.</span></form>\n";
}

struct PlotSpec {
  std::string id, heading, caption, name;  // name: of the figure, in words
  Series StepSeries::*series = nullptr;
  bool from_zero = false;
};

Plot plot_of(Runs runs, const PlotSpec& spec) {
  Plot plot{.id = spec.id, .heading = spec.heading, .caption = spec.caption, .from_zero = spec.from_zero};
  for (size_t i = 0; i < runs.size(); ++i) {
    const Series& series = runs[i].history().series.*spec.series;
    if (series.empty()) continue;
    plot.curves.push_back({&series, i, i, runs.size() > 1 ? runs[i].name : spec.name, spec.id});
    const std::string subject = runs.size() > 1 ? runs[i].name + ": " + spec.name : spec.name;
    plot.described += (plot.described.empty() ? "" : " ") + words_for(subject, series);
  }
  return plot;
}

void add_marks(Plot& plot, Runs runs, Series StepMarks::*series, size_t row, const std::string& key) {
  for (size_t i = 0; i < runs.size(); ++i)
    if (const Series& marks = runs[i].history().marks.*series; !marks.empty())
      plot.marks.push_back({&marks, i, row, key});
}

// How often something happened, by its marks.
uint64_t happened(Runs runs, Series StepMarks::*series) {
  uint64_t n = 0;
  for (const RunView& run : runs)
    for (const Bucket& b : (run.history().marks.*series).buckets()) n += b.count;
  return n;
}

std::string mark_key(Runs runs, Series StepMarks::*series, const std::string& key, const std::string& one,
                     const std::string& several) {
  const uint64_t n = happened(runs, series);
  return n == 0 ? ""
                : fmt::format(" <span class=\"mark-key\"><i class=\"tick {}\"></i>{} {}</span>", key, whole(double(n)),
                              n == 1 ? one : several);
}

std::string banded(Runs runs, Series StepSeries::*series) {
  uint64_t width = 1;
  for (const RunView& run : runs) width = std::max(width, (run.history().series.*series).width());
  return width == 1 ? "of each step." : fmt::format("means of {} steps, in a band from least to largest.", width);
}

std::string loss_view(Runs runs) {
  Plot plot = plot_of(runs, {"loss", "Nats per token,", "", "Loss", &StepSeries::loss});
  plot.tall = true;
  plot.caption = banded(runs, &StepSeries::loss);
  bool evaluated = false;
  for (size_t i = 0; i < runs.size(); ++i) {
    const Series& series = runs[i].history().evaluations.losses;
    if (series.empty()) continue;
    evaluated = true;
    const std::string name = runs.size() > 1 ? runs[i].name + ", evaluation" : "Evaluation";
    plot.curves.push_back({&series, i, runs.size() > 1 ? i : 1, name, "evaluations", true});
    plot.described += " " + words_for(name, series);
  }
  if (evaluated) plot.caption += " Points are evaluations.";
  const std::string figure = figure_of(plot);
  return controls() + legend(runs) + (figure.empty() ? note("No line has a finite loss yet.") : figure);
}

std::string norm_view(Runs runs) {
  Plot plot = plot_of(runs, {"grad_norm", "Norm before clipping,", "", "Gradient norm", &StepSeries::grad_norm, true});
  plot.caption = banded(runs, &StepSeries::grad_norm);
  std::set<double> clips;
  for (const RunView& run : runs)
    if (const auto clip = run.files.config.number("optimizer.grad_clip"); clip && *clip > 0) clips.insert(*clip);
  plot.levels.assign(clips.begin(), clips.end());
  for (const double clip : clips)
    plot.caption += fmt::format(" The dashed line is where it is clipped, {}.", figure(clip, 3));
  add_marks(plot, runs, &StepMarks::skipped, 0, "skipped");
  plot.caption += mark_key(runs, &StepMarks::skipped, "skipped", "skipped step", "skipped steps");
  const std::string figure = figure_of(plot);
  return figure.empty() ? note("No line has a finite gradient norm yet.") : figure;
}

std::string rate_view(Runs runs) {
  Plot plot = plot_of(
      runs, {"learning_rate", "Of the optimizer,", "at each step.", "Learning rate", &StepSeries::learning_rate, true});
  const std::string figure = figure_of(plot);
  return figure.empty() ? note("No line has a learning rate.") : figure;
}

std::string speed_view(Runs runs) {
  Plot plot = plot_of(
      runs, {"tokens_per_second", "Tokens per second,", "", "Tokens per second", &StepSeries::tokens_per_second, true});
  plot.caption = banded(runs, &StepSeries::tokens_per_second);
  add_marks(plot, runs, &StepMarks::evaluation_seconds, 0, "evaluation_seconds");
  add_marks(plot, runs, &StepMarks::saves, 1, "saves");
  add_marks(plot, runs, &StepMarks::gaps, 2, "gaps");
  plot.caption += mark_key(runs, &StepMarks::evaluation_seconds, "evaluation_seconds", "evaluation", "evaluations");
  plot.caption += mark_key(runs, &StepMarks::saves, "saves", "save", "saves");
  plot.caption += mark_key(runs, &StepMarks::gaps, "gaps", "gap between processes", "gaps between processes");
  const std::string figure = figure_of(plot);
  return figure.empty() ? note("No line has tokens_per_second.") : figure;
}

void add_faults(std::string& out, Runs runs, std::initializer_list<std::string RunFiles::*> faults) {
  for (const RunView& run : runs)
    for (const auto fault : faults)
      if (const std::string& text = run.files.*fault; !text.empty())
        out += note(runs.size() > 1 ? run.name + ": " + text : text);
}

std::string time_view(Runs runs) {
  std::string out;
  std::vector<StepTime> times;
  double largest = 0;
  for (const RunView& run : runs) {
    times.push_back(step_time(run.history(), run.files));
    largest = std::max(largest, times.back().empty() ? 0 : times.back().median);
  }
  for (size_t i = 0; i < runs.size(); ++i)
    if (!times[i].empty()) out += bars_of(times[i], fmt::format("time-{}", i), title_of(runs, runs[i]), largest);
  add_faults(out, runs, {&RunFiles::plan_fault, &RunFiles::profile_fault});
  return out.empty() ? note("No line has seconds yet.") : out;
}

std::string policy_of(const RunView& run) {
  if (run.files.plan.policy.empty()) return "";
  std::string out = "<dl class=\"pairs\">";
  for (const auto& [name, text] : run.files.plan.policy)
    out += fmt::format("<dt>{}</dt><dd>{}</dd>", escaped(name), escaped(text));
  return out + "</dl>\n";
}

std::string peak_of(const RunView& run) {
  if (!run.files.plan.peak) return "";
  const PlanFile::Peak& peak = *run.files.plan.peak;
  std::string out = fmt::format(
      "<details><summary>What is alive at the peak: {} at {} of {}</summary><div "
      "class=\"scroll\"><table><thead><tr><th>value"
      "</th><th>kind</th><th>layer</th><th>bytes</th></tr></thead><tbody>",
      bytes_text(double(peak.bytes)), escaped(peak.label), escaped(peak.range));
  for (const PlanFile::Alive& v : peak.alive)
    out += fmt::format("<tr><th>{}</th><td>{}</td><td>{}</td><td>{}</td></tr>", escaped(v.name), escaped(v.kind),
                       v.layer ? whole(double(*v.layer)) : "", bytes_text(double(v.bytes)));
  return out + "</tbody></table></div></details>\n";
}

std::string rows_of(const RunView& run) {
  if (run.files.plan.bytes.empty()) return "";
  std::string out =
      "<details><summary>The plan's own rows</summary><div "
      "class=\"scroll\"><table><thead><tr><th>row</th><th>device</th><th>host</th></tr>"
      "</thead><tbody>";
  for (const ByteLine& row : run.files.plan.bytes)
    out += fmt::format("<tr><th>{}</th><td>{}</td><td>{}</td></tr>", escaped(row.name), whole(double(row.device)),
                       whole(double(row.host)));
  return out + "</tbody></table></div></details>\n";
}

std::string byte_view(Runs runs) {
  std::string out;
  std::vector<Bytes> all;
  uint64_t device = 0, host = 0;
  for (const RunView& run : runs) {
    all.push_back(bytes_of(run.files));
    device = std::max({device, all.back().device, all.back().device_budget});
    host = std::max({host, all.back().host, all.back().host_budget});
  }
  for (size_t i = 0; i < runs.size(); ++i) {
    if (all[i].empty()) continue;
    out += bars_of(all[i], fmt::format("bytes-{}", i), title_of(runs, runs[i]), device, host);
    out += policy_of(runs[i]) + rows_of(runs[i]) + peak_of(runs[i]);
  }
  add_faults(out, runs, {&RunFiles::plan_fault});
  return out.empty() ? note("plan.json says nothing of bytes; an older version wrote it.") : out;
}

std::string device_view(Runs runs) {
  std::string out;
  for (const PlotSpec& spec :
       {PlotSpec{"scale_misses", "Share of guessed scales that were wrong.",
                 "A wrong guess costs a second pass over its tensor.", "Scales guessed wrong",
                 &StepSeries::scale_misses, true},
        PlotSpec{"power", "Watts,", "of the first rank's device.", "Power", &StepSeries::power, true},
        PlotSpec{"temperature", "Degrees Celsius,", "of the first rank's device.", "Temperature",
                 &StepSeries::temperature}})
    if (const Plot plot = plot_of(runs, spec); !plot.curves.empty()) out += figure_of(plot);
  return out.empty() ? note("These runs have no guessed scales, and their devices told neither power nor temperature.")
                     : out;
}

// Keys whose values are not the same in all runs.
std::string differing_keys(Runs runs) {
  std::set<std::string> keys;
  for (const RunView& run : runs)
    for (const auto& [key, value] : run.files.config.keys) keys.insert(key);
  const auto value_of = [](const RunView& run, const std::string& key) {
    const auto found = run.files.config.keys.find(key);
    return found == run.files.config.keys.end() ? std::string("-") : found->second;
  };
  std::string rows;
  for (const std::string& key : keys) {
    const std::string first = value_of(runs[0], key);
    if (std::ranges::all_of(runs, [&](const RunView& run) { return value_of(run, key) == first; })) continue;
    rows += fmt::format("<tr><th>{}</th>", escaped(key));
    for (const RunView& run : runs) rows += fmt::format("<td>{}</td>", escaped(value_of(run, key)));
    rows += "</tr>";
  }
  if (rows.empty()) return note("All keys are the same.");
  std::string head;
  for (const RunView& run : runs) head += fmt::format("<th>{}</th>", escaped(run.name));
  return fmt::format(
      "<div class=\"scroll\"><table class=\"keys\"><thead><tr><th>key that "
      "differs</th>{}</tr></thead><tbody>{}</tbody></table></div>\n",
      head, rows);
}

std::string config_view(Runs runs) {
  std::string out = runs.size() > 1 ? differing_keys(runs) : "";
  for (const RunView& run : runs)
    if (!run.files.config.text.empty())
      out += fmt::format("<details><summary>{}</summary><pre>{}</pre></details>\n",
                         runs.size() > 1 ? escaped(run.name) + ", config.toml" : "config.toml",
                         escaped(run.files.config.text));
  add_faults(out, runs, {&RunFiles::config_fault});
  return out;
}

std::string evaluation_table(const RunView& run) {
  const std::vector<Bucket>& all = run.history().evaluations.losses.buckets();
  if (all.empty()) return "";
  constexpr size_t kRows = 50;
  const size_t count = std::min(kRows, all.size());
  std::string rows;
  for (size_t i = 0; i < count; ++i) {
    const Bucket& b = all[count == 1 ? all.size() - 1 : i * (all.size() - 1) / (count - 1)];
    rows += fmt::format("<tr><td>{}</td><td>{}</td><td>{}</td></tr>", whole(double(b.last_place.step)),
                        whole(b.last_place.tokens), b.finite() > 0 ? figure(b.last, 5) : "not finite");
  }
  return fmt::format(
      "<div "
      "class=\"scroll\"><table><caption>Evaluations{}</caption><thead><tr><th>step</th><th>tokens</th><th>loss</th></"
      "tr></thead><tbody>{}</tbody>"
      "</table></div>",
      count < all.size() ? fmt::format(", {} of {}", count, all.size()) : "", rows);
}

std::string checkpoint_table(const RunView& run) {
  if (run.files.checkpoints.empty()) return note("No checkpoint is there.");
  std::string rows;
  for (const CheckpointEntry& c : run.files.checkpoints)
    rows += fmt::format("<tr><td>{}</td><td>{}</td><td>{}</td></tr>", whole(double(c.step)),
                        bytes_text(double(c.bytes)), escaped(c.fault));
  return fmt::format(
      "<div "
      "class=\"scroll\"><table><caption>Checkpoints</caption><thead><tr><th>step</th><th>size</th><th></th></tr></"
      "thead><tbody>{}</tbody></table></div>",
      rows);
}

std::string environment_view(Runs runs) {
  std::string out;
  for (const RunView& run : runs) {
    if (runs.size() > 1) out += fmt::format("<h3>{}</h3>", escaped(run.name));
    if (!run.files.plan.environment.empty()) {
      out += "<dl class=\"pairs\">";
      for (const auto& [key, text] : run.files.plan.environment)
        out +=
            fmt::format("<dt>{}</dt><dd>{}</dd>", escaped(key == "memory_bytes" ? "host memory" : key), escaped(text));
      out += "</dl>\n";
    }
    out += "<div class=\"side\">" + evaluation_table(run) + checkpoint_table(run) + "</div>\n";
  }
  add_faults(out, runs, {&RunFiles::plan_fault});
  return out;
}

std::string head(Runs runs, bool live) {
  std::string title;
  for (const RunView& run : runs) title += (title.empty() ? "" : ", ") + escaped(run.name);
  return fmt::format(
      "{} -->\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<meta http-equiv=\"Content-Security-Policy\" "
      "content=\"default-src "
      "'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'\">\n{}<meta name=\"viewport\" "
      "content=\"width=device-width, initial-scale=1\">\n<meta name=\"color-scheme\" content=\"light "
      "dark\">\n<title>{}</title>\n<style>\n{}</style>\n</head>\n"
      "<body>\n<main>\n<header><p class=\"kicker\">Tandem report</p><h1>{}</h1></header>\n",
      kPageStart, live ? "<meta http-equiv=\"refresh\" content=\"5\">\n" : "", title, kPageCss, title);
}

}  // namespace

std::string page_of(Runs runs, bool live) {
  std::string page = head(runs, live);
  page += section("verdict", "How it went", verdicts(runs));
  page += section("loss-view", "Loss and evaluations", loss_view(runs));
  page += section("norm-view", "Gradient norm", norm_view(runs));
  page += section("rate-view", "Learning rate", rate_view(runs));
  page += section("speed-view", "Speed", speed_view(runs));
  page += section("time-view", "Where a step’s time goes", time_view(runs));
  page += section("byte-view", "Where the bytes go", byte_view(runs));
  page += section("device-view", "Scales and the device", device_view(runs));
  page += section("config-view", "Configuration", config_view(runs));
  page += section("environment-view", "Environment, evaluations, checkpoints", environment_view(runs));
  page += fmt::format(
      "</main>\n<script type=\"application/json\" id=\"data\">{}</script>\n<script>\n{}</script>\n</body>\n</html>\n",
      page_json(runs), kPageJs);
  return page;
}

}  // namespace tandem::report
