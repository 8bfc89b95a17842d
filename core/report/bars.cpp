#include "core/report/bars.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "core/report/text.h"

namespace tandem::report {
namespace {

constexpr double kWidth = 1000;    // the width of the view box
constexpr double kLettered = 2.5;  // percent of the width that a part with a letter above it has

constexpr double kSmall = 0.1;  // share of a budget below which what is taken is drawn a second time

struct Piece {
  double start = 0, width = 0;  // the width of the view box
  char letter = ' ';
};

std::string rectangle(double x, double y, double width, double height, const std::string& style) {
  return fmt::format("<rect class=\"{}\" x=\"{:.2f}\" y=\"{}\" width=\"{:.2f}\" height=\"{}\"/>", style, x, y,
                     std::min(width, kWidth - x), height);
}

std::string letters(const std::vector<Piece>& pieces) {
  std::string out = "<div class=\"letters\" aria-hidden=\"true\">";
  for (const Piece& p : pieces)
    if (p.width / kWidth * 100 >= kLettered)
      out += fmt::format("<span style=\"left:{:.2f}%\">{}</span>", (p.start + p.width / 2) / kWidth * 100, p.letter);
  return out + "</div>";
}

std::string svg(const std::string& id, double height, const std::string& title, const std::string& words,
                const std::string& inside) {
  return fmt::format(
      "<svg viewBox=\"0 0 {} {}\" preserveAspectRatio=\"none\" role=\"img\" aria-labelledby=\"{}-title {}-words\" "
      "style=\"height:{}px\"><title id=\"{}-title\">{}</title><desc id=\"{}-words\">{}</desc>{}</svg>",
      kWidth, height, id, id, height, id, escaped(title), id, escaped(words), inside);
}

std::string key(char letter, int colour) {
  return fmt::format("<i class=\"key k{}\"></i><b>{}</b>", colour, letter);
}

std::string heading(const std::string& title) {
  return title.empty() ? "" : fmt::format("<h3>{}</h3>", escaped(title));
}

std::string time_table(const StepTime& time) {
  struct Row {
    const TimePart* part;
    char letter;
    double excess;
  };
  std::vector<Row> rows;
  for (size_t i = 0; i < time.parts.size(); ++i) {
    const TimePart& part = time.parts[i];
    rows.push_back({&part, char('A' + i), part.seconds - (std::isfinite(part.floor) ? part.floor : 0)});
  }
  std::ranges::stable_sort(rows, std::greater<>(), &Row::excess);
  std::string out =
      "<div class=\"scroll\"><table "
      "class=\"parts\"><thead><tr><th>part</th><th>seconds</th><th>share</th><th>floor</th><th>ratio</th></tr></"
      "thead><tbody>";
  for (const Row& row : rows) {
    const TimePart& p = *row.part;
    const bool has_floor = std::isfinite(p.floor) && p.floor > 0;
    out +=
        fmt::format("<tr><th>{} {}</th><td>{}</td><td>{:.1f}%</td><td>{}</td><td>{}</td></tr>",
                    key(row.letter, p.colour), escaped(p.name), figure(p.seconds, 3), 100 * p.seconds / time.median,
                    has_floor ? figure(p.floor, 3) : "", has_floor ? fmt::format("{:.2f}", p.seconds / p.floor) : "");
  }
  return out + "</tbody></table></div>";
}

// One bar of a memory, `width` bytes wide; all: its figures in words.
std::string byte_bar(const Bytes& bytes, const std::string& id, bool on_host, uint64_t width, uint64_t free,
                     const std::string& all) {
  const double scale = kWidth / double(std::max<uint64_t>(width, 1));
  std::vector<Piece> pieces;
  std::string inside, words;
  double at = 0;
  for (size_t i = 0; i < bytes.parts.size(); ++i) {
    const BytePart& part = bytes.parts[i];
    const uint64_t n = on_host ? part.host : part.device;
    if (n == 0) continue;
    pieces.push_back({at, double(n) * scale, char('A' + i)});
    inside += rectangle(at, 0, double(n) * scale, 26, fmt::format("k{}", part.colour));
    words += fmt::format("{}{} {}", words.empty() ? "" : ", ", part.name, bytes_text(double(n)));
    at += double(n) * scale;
  }
  if (free > 0) inside += rectangle(at, 0, double(free) * scale, 26, "free");
  return letters(pieces) + svg(id, 26, fmt::format("Bytes of the {}", on_host ? "host" : "device"),
                               words.empty() ? "Nothing." : words + ": " + all + ".", inside);
}

std::string byte_bars(const Bytes& bytes, const std::string& id, bool on_host, uint64_t width) {
  const uint64_t used = on_host ? bytes.host : bytes.device, budget = on_host ? bytes.host_budget : bytes.device_budget;
  const uint64_t free = budget > used ? budget - used : 0;
  const std::string all = budget > 0 ? fmt::format("{} of {}, {} free", bytes_text(double(used)),
                                                   bytes_text(double(budget)), bytes_text(double(free)))
                                     : fmt::format("{}, no limit", bytes_text(double(used)));
  const std::string name = fmt::format("{}-{}", id, on_host ? "host" : "device");
  std::string out = fmt::format("<p class=\"bar\"><b>{}</b> {}</p>{}", on_host ? "host" : "device", all,
                                byte_bar(bytes, name, on_host, width, free, all));
  if (used > 0 && double(used) < kSmall * double(width))
    out += "<p class=\"bar under\">what is taken, drawn wider</p>" +
           byte_bar(bytes, name + "-taken", on_host, used, 0, all);
  return out;
}

}  // namespace

std::string bars_of(const StepTime& time, const std::string& id, const std::string& title, double largest) {
  std::vector<Piece> pieces;
  std::string inside, words;
  double at = 0;
  const double scale = largest > 0 ? kWidth / largest : 0;
  for (size_t i = 0; i < time.parts.size(); ++i) {
    const TimePart& part = time.parts[i];
    const double width = part.seconds * scale;
    pieces.push_back({at, width, char('A' + i)});
    inside += rectangle(at, 0, width, 30, fmt::format("k{}", part.colour));
    if (std::isfinite(part.floor) && part.floor > 0)
      inside += rectangle(at, 34, std::min(part.floor, time.median) * scale, 10, fmt::format("floor k{}", part.colour));
    words += fmt::format("{}{} {}", words.empty() ? "" : ", ", part.name, duration(part.seconds));
    if (part.floor > 0) words += fmt::format(" above a floor of {}", duration(part.floor));
    at += width;
  }
  std::string note =
      time.measured
          ? "Parts were timed one instruction after the other; the whole is the median step."
          : "Parts are predicted by the plan, for there is no profile; the whole is the median step, as measured.";
  if (time.scale < 0.995)
    note += fmt::format(" Together they would take {:.2f} times the step, so each is drawn smaller by that.",
                        1 / time.scale);
  return fmt::format(
      "<figure class=\"bars\" id=\"{}\">{}<figcaption>{} {}</figcaption><p class=\"bar\"><b>step</b> {}</p>{}{}<p "
      "class=\"bar "
      "under\">floor, on the same scale</p>{}</figure>\n",
      id, heading(title), escaped(sentence_of(time)), note, duration(time.median), letters(pieces),
      svg(id + "-svg", 44, "A step's seconds by part", words + ".", inside), time_table(time));
}

std::string bars_of(const Bytes& bytes, const std::string& id, const std::string& title, uint64_t device_width,
                    uint64_t host_width) {
  std::string table =
      "<div class=\"scroll\"><table "
      "class=\"parts\"><thead><tr><th>part</th><th>device</th><th>host</th></tr></thead><tbody>";
  for (size_t i = 0; i < bytes.parts.size(); ++i) {
    const BytePart& p = bytes.parts[i];
    if (p.device == 0 && p.host == 0) continue;
    const auto cell = [](uint64_t n) { return n == 0 ? std::string() : bytes_text(double(n)); };
    table += fmt::format("<tr><th>{} {}</th><td>{}</td><td>{}</td></tr>", key(char('A' + i), p.colour), p.name,
                         cell(p.device), cell(p.host));
  }
  table += fmt::format("<tr class=\"sum\"><th>all</th><td>{}</td><td>{}</td></tr></tbody></table></div>",
                       bytes_text(double(bytes.device)), bytes_text(double(bytes.host)));
  return fmt::format("<figure class=\"bars\" id=\"{}\">{}{}{}{}</figure>\n", id, heading(title),
                     byte_bars(bytes, id, false, device_width), byte_bars(bytes, id, true, host_width), table);
}

}  // namespace tandem::report
