#include "core/report/plot.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "core/report/text.h"

namespace tandem::report {
namespace {

constexpr double kWidth = 1000, kHeight = 400;  // the view box, which stretches to its place
constexpr size_t kDrawn = 400;                  // points of a curve; the page's JSON has them all
constexpr size_t kRows = 50;                    // rows of the table
constexpr double kStroke = 0.05;                // share of the height that a mark takes, each kind in a row of its own
constexpr double kRoom = 0.04;                  // share of the height that stays free above and below

struct Range {
  double least = std::numeric_limits<double>::infinity(), largest = -std::numeric_limits<double>::infinity();
  void take(double x) {
    if (!std::isfinite(x)) return;
    least = std::min(least, x);
    largest = std::max(largest, x);
  }
  bool empty() const { return !(least <= largest); }
  double share(double x) const { return largest > least ? (x - least) / (largest - least) : 0.5; }
};

double at(const Place& place, Axis axis) {
  return axis == Axis::tokens ? place.tokens : double(place.step);
}

struct Frame {
  Range x, y;
  Axis axis;

  double column(const Bucket& b) const { return std::clamp(x.share(at(b.last_place, axis)), 0.0, 1.0) * kWidth; }
  double row(double value) const { return (1 - std::clamp(y.share(value), 0.0, 1.0)) * kHeight; }
};

Frame frame_of(const Plot& plot) {
  Frame frame{.x = {}, .y = {}, .axis = plot.axis};
  for (const Curve& curve : plot.curves)
    for (const Bucket& b : curve.series->buckets()) {
      frame.x.take(at(b.last_place, plot.axis));
      if (b.finite() > 0) frame.y.take(b.least), frame.y.take(b.largest);
    }
  if (plot.from_zero && !frame.y.empty()) frame.y.take(0);
  if (!frame.y.empty()) {
    const double span = frame.y.largest - frame.y.least;
    const double room = span > 0 ? kRoom * span : std::max(std::abs(frame.y.least) * 0.05, 1e-9);
    frame.y.largest += room;
    if (!plot.from_zero || frame.y.least < 0) frame.y.least -= room;
  }
  for (const double level : plot.levels)  // without making the curves small
    if (!frame.y.empty() && level <= frame.y.least + 1.5 * (frame.y.largest - frame.y.least)) frame.y.take(level);
  return frame;
}

std::string number(double x) {
  std::string text = fmt::format("{:.1f}", x);
  if (text.ends_with(".0")) text.resize(text.size() - 2);
  return text == "-0" ? "0" : text;
}

// The buckets, or as many of them together as leave 400.
std::vector<Bucket> thinned(const Series& series) {
  const std::vector<Bucket>& all = series.buckets();
  const size_t together = (all.size() + kDrawn - 1) / kDrawn;
  if (together <= 1) return all;
  std::vector<Bucket> few;
  for (size_t i = 0; i < all.size(); ++i)
    if (i % together == 0) few.push_back(all[i]);
    else few.back().merge(all[i]);
  return few;
}

// Runs `piece` on each stretch of buckets that hold a figure: a gap is where nothing is finite.
template <typename Piece>
void for_each_stretch(const Series& series, const Piece& piece) {
  const std::vector<Bucket> all = thinned(series);
  for (size_t first = 0; first < all.size();) {
    size_t end = first;
    while (end < all.size() && std::isfinite(all[end].mean())) ++end;
    if (end > first) piece(std::span(all).subspan(first, end - first));
    first = end + 1;
  }
}

std::string band(const Series& series, const Frame& frame) {
  std::string path;
  if (series.width() == 1 && series.buckets().size() <= kDrawn) return path;
  for_each_stretch(series, [&](std::span<const Bucket> part) {
    const auto point = [&](char verb, const Bucket& b, double value) {
      path += fmt::format("{}{} {}", verb, number(frame.column(b)), number(frame.row(value)));
    };
    for (const Bucket& b : part) point(&b == &part.front() ? 'M' : 'L', b, b.largest);
    for (size_t i = part.size(); i-- > 0;) point('L', part[i], part[i].least);
    path += 'Z';
  });
  return path;
}

std::string line(const Series& series, const Frame& frame) {
  std::string path;
  for_each_stretch(series, [&](std::span<const Bucket> part) {
    for (const Bucket& b : part)
      path +=
          fmt::format("{}{} {}", &b == &part.front() ? 'M' : 'L', number(frame.column(b)), number(frame.row(b.mean())));
    if (part.size() == 1) path += "h0";  // a point, by its round ends
  });
  return path;
}

std::string dots(const Series& series, const Frame& frame) {
  std::string path;
  for (const Bucket& b : thinned(series))
    if (b.finite() > 0) path += fmt::format("M{} {}h0", number(frame.column(b)), number(frame.row(b.mean())));
  return path;
}

std::string strokes(const Series& series, const Frame& frame, size_t row) {
  std::string path;
  for (const Bucket& b : thinned(series))
    path += fmt::format("M{} {}V{}", number(frame.column(b)), number(kHeight * (1 - kStroke * double(row))),
                        number(kHeight * (1 - kStroke * double(row + 1))));
  return path;
}

std::string svg_of(const Plot& plot, const Frame& frame) {
  std::string out = fmt::format(
      "<svg viewBox=\"0 0 {} {}\" preserveAspectRatio=\"none\" role=\"img\" tabindex=\"0\" aria-labelledby=\"{}-title "
      "{}-words\"><title id=\"{}-title\">{}</title><desc id=\"{}-words\">{}</desc>",
      kWidth, kHeight, plot.id, plot.id, plot.id, escaped(plot.heading), plot.id, escaped(plot.described));
  out += "<path class=\"grid\" d=\"";
  for (const double y : ticks(frame.y.least, frame.y.largest, 6))
    out += fmt::format("M0 {}H{}", number(frame.row(y)), kWidth);
  out += "\"/>";
  for (const double level : plot.levels)
    if (level >= frame.y.least && level <= frame.y.largest)
      out += fmt::format("<path class=\"level\" data-level=\"{}\" d=\"M0 {}H{}\"/>", level, number(frame.row(level)),
                         kWidth);
  for (const Marks& marks : plot.marks)
    out += fmt::format("<path class=\"marks {}\" data-key=\"{}\" data-run=\"{}\" data-row=\"{}\" d=\"{}\"/>", marks.key,
                       marks.key, marks.run, marks.row, strokes(*marks.series, frame, marks.row));
  for (const Curve& c : plot.curves) {
    const auto path = [&](const char* kind, const std::string& d) {
      if (!d.empty())
        out += fmt::format("<path class=\"{} c{} d{}\" data-key=\"{}\" data-run=\"{}\" d=\"{}\"/>", kind, c.colour,
                           c.colour, c.key, c.run, d);
    };
    if (!c.dots) path("band", band(*c.series, frame));
    path(c.dots ? "line thin" : "line", line(*c.series, frame));
    if (c.dots) path("dots", dots(*c.series, frame));
  }
  return out + "</svg>";
}

// "30k", "0.25", "8e-5"
std::string level_text(double y) {
  if (std::abs(y) >= 1e4) return short_count(y);
  if (y == 0 || std::abs(y) >= 1e-3) return fmt::format("{:.5g}", y);
  const double power = std::floor(std::log10(std::abs(y)) + 1e-9);
  return fmt::format("{:.4g}e{:.0f}", y / std::pow(10, power), power);
}

std::string y_labels(const Frame& frame) {
  std::string out = "<div class=\"ys\" aria-hidden=\"true\">";
  for (const double y : ticks(frame.y.least, frame.y.largest, 6))
    out += fmt::format("<span style=\"bottom:{:.2f}%\">{}</span>", frame.y.share(y) * 100, level_text(y));
  return out + "</div>";
}

std::string x_labels(const Frame& frame) {
  std::string out = "<div class=\"xs\" aria-hidden=\"true\">";
  for (const double x : ticks(frame.x.least, frame.x.largest, 7))
    out += fmt::format("<span style=\"left:{:.2f}%\">{}</span>", frame.x.share(x) * 100, short_count(x));
  return out + fmt::format("<b>{}</b></div>", frame.axis == Axis::tokens ? "tokens" : "step");
}

// At most 50 rows of the curves, evenly spread over their buckets.
std::string table_of(const Plot& plot) {
  std::string out =
      "<details><summary>As a table</summary><div "
      "class=\"scroll\"><table><thead><tr><th>curve</th><th>step</th><th>mean</th>"
      "<th>least</th><th>largest</th></tr></thead><tbody>";
  const size_t rows = std::max<size_t>(1, kRows / std::max<size_t>(1, plot.curves.size()));
  for (const Curve& curve : plot.curves) {
    const std::vector<Bucket>& all = curve.series->buckets();
    const size_t count = std::min(rows, all.size());
    for (size_t i = 0; i < count; ++i) {
      const Bucket& b = all[count == 1 ? all.size() - 1 : i * (all.size() - 1) / (count - 1)];
      const auto cell = [&](double value) { return b.finite() > 0 ? figure(value, 5) : std::string("not finite"); };
      out += fmt::format("<tr><th>{}</th><td>{}</td><td>{}</td><td>{}</td><td>{}</td></tr>", escaped(curve.name),
                         whole(double(b.last_place.step)), cell(b.mean()), cell(b.least), cell(b.largest));
    }
  }
  return out + "</tbody></table></div></details>";
}

}  // namespace

std::vector<double> ticks(double least, double largest, size_t most) {
  std::vector<double> list;
  if (!(largest > least) || !std::isfinite(largest - least)) {
    if (std::isfinite(least) && least == largest) list.push_back(least);
    return list;
  }
  const double raw = (largest - least) / double(most);
  const double power = std::pow(10, std::floor(std::log10(raw)));
  const double step = (raw <= power ? 1 : raw <= 2 * power ? 2 : raw <= 5 * power ? 5 : 10) * power;
  if (!(step > 0)) return list;
  for (double n = std::ceil(least / step); n * step <= largest * (1 + 1e-12) && list.size() <= most; ++n)
    list.push_back(n == 0 ? 0 : n * step);
  return list;
}

std::string words_for(const std::string& name, const Series& series) {
  const Bucket *first = nullptr, *last = nullptr, *least = nullptr, *largest = nullptr;
  for (const Bucket& b : series.buckets()) {
    if (b.finite() == 0) continue;
    if (!first) first = least = largest = &b;
    last = &b;
    if (b.least < least->least) least = &b;
    if (b.largest > largest->largest) largest = &b;
  }
  if (!first) return series.empty() ? "" : fmt::format("{} was never finite.", name);
  const double from = first->count == 1 ? first->last : first->mean(), to = last->last;
  if (first == last && first->count == 1)
    return fmt::format("{} is {} at step {}.", name, figure(to), whole(double(last->last_step)));
  const char* const verb = to < from ? "falls" : to > from ? "rises" : "goes";
  return fmt::format("{} {} from {} at step {} to {} at step {}; lowest {} at {}, highest {} at {}.", name, verb,
                     figure(from), whole(double(first->last_step)), figure(to), whole(double(last->last_step)),
                     figure(least->least), whole(double(least->least_step)), figure(largest->largest),
                     whole(double(largest->largest_step)));
}

std::string figure_of(const Plot& plot) {
  const Frame frame = frame_of(plot);
  if (frame.x.empty() || frame.y.empty()) return "";
  return fmt::format(
      "<figure class=\"plot{}\" id=\"{}\"><figcaption><b>{}</b> {}</figcaption><div class=\"frame\">{}<div "
      "class=\"area\">{}</div>{}</div><p class=\"reading\" aria-live=\"polite\"></p>{}</figure>\n",
      plot.tall ? " tall" : "", plot.id, escaped(plot.heading), plot.caption, y_labels(frame), svg_of(plot, frame),
      x_labels(frame), table_of(plot));
}

}  // namespace tandem::report
