#include "core/report/watch.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <thread>

#include "core/base/file.h"
#include "core/base/median.h"
#include "core/base/terminal.h"
#include "core/report/text.h"
#include "core/run/signals.h"

namespace tandem::report {
namespace {

using Clock = std::chrono::steady_clock;

constexpr double kHighNorm = 5, kSlow = 0.8, kLateSteps = 10, kCheckpoints = 2;
constexpr uint64_t kRises = 3;  // evaluations in a row
constexpr auto kLook = std::chrono::seconds(1), kPlainPause = std::chrono::seconds(10);
constexpr auto kNap = std::chrono::milliseconds(50);  // between two looks for a signal

std::vector<double> recent(const RunView& run, Field field) {
  std::vector<double> values;
  for (const Line& line : run.history().recent) values.push_back(line[field]);
  return values;
}

// NaN where none is finite.
double finite_median(std::vector<double> values) {
  std::erase_if(values, [](double v) { return !std::isfinite(v); });
  return values.empty() ? std::nan("") : median(std::move(values));
}

double last(const RunView& run, Field field) {
  return run.history().ends.last ? (*run.history().ends.last)[field] : std::nan("");
}

double seconds_left(const RunView& run) {
  const uint64_t steps = run.steps(), step = run.history().place.step;
  return steps > step ? double(steps - step) * finite_median(recent(run, Field::seconds)) : 0;
}

double unix_seconds() {
  return std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
}

std::string progress_text(const RunView& run) {
  const uint64_t steps = run.steps(), step = run.history().place.step;
  std::string text = fmt::format("step {}", whole(double(step)));
  if (steps > 0) text += fmt::format(" of {}", whole(double(steps)));
  if (run.alive && std::isfinite(seconds_left(run)) && steps > 0)
    text += fmt::format(", {} left", duration(seconds_left(run)));
  return text;
}

std::string evaluation_text(const RunView& run) {
  const History& h = run.history();
  if (!h.evaluations.last) return "";
  std::string text =
      fmt::format("{} at step {}", figure(h.evaluations.last->loss), whole(double(h.evaluations.last->step)));
  if (h.evaluations.best && h.evaluations.best->step != h.evaluations.last->step)
    text +=
        fmt::format(", best {} at step {}", figure(h.evaluations.best->loss), whole(double(h.evaluations.best->step)));
  return text;
}

std::string device_text(const RunView& run) {
  std::string text = bytes_text(run.history().totals.largest_memory);
  for (auto line = run.history().recent.rbegin(); line != run.history().recent.rend(); ++line) {
    if (!line->has(Field::power)) continue;
    text += fmt::format(", {} W", figure((*line)[Field::power], 3));
    if (line->has(Field::temperature)) text += fmt::format(", {} °C", figure((*line)[Field::temperature], 2));
    break;
  }
  return text;
}

// A row's text in its columns, then its colours.
class Rows {
 public:
  explicit Rows(const Screen& screen) : screen_(screen) {}

  void add(const std::string& text, std::string_view colour = "") {
    if (rows_.size() + 1 >= std::max<size_t>(screen_.rows, 2)) return;
    const std::string cut = fitted(text, screen_.columns > 1 ? screen_.columns - 1 : 1);
    rows_.push_back(screen_.colours && !colour.empty() ? fmt::format("\x1b[{}m{}\x1b[0m", colour, cut) : cut);
  }
  std::vector<std::string> take() { return std::move(rows_); }

 private:
  const Screen& screen_;
  std::vector<std::string> rows_;
};

constexpr size_t kName = 11, kValue = 10;  // columns

std::string curve_row(const RunView& run, const char* name, Field field, const std::string& value,
                      const Screen& screen) {
  const size_t room = screen.columns > kName + kValue + 2 ? screen.columns - kName - kValue - 2 : 0;
  return fmt::format("{:<{}}{:<{}}{}", name, kName, value, kValue,
                     sparkline(recent(run, field), std::min(room, kRecent), screen.blocks));
}

std::string_view colour_of(State state) {
  constexpr std::string_view kColours[] = {"1;32", "1;32", "1;33", "1;31"};
  return kColours[size_t(state)];
}

bool says_utf8() {
  for (const char* name : {"LC_ALL", "LC_CTYPE", "LANG"}) {
    const char* const value = std::getenv(name);
    if (value == nullptr || *value == '\0') continue;
    const std::string_view text(value);
    return text.find("UTF-8") != text.npos || text.find("utf8") != text.npos || text.find("UTF8") != text.npos;
  }
  return false;
}

void put(std::string_view text) {
  while (!text.empty()) {
    const ssize_t written = ::write(STDOUT_FILENO, text.data(), text.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) fail(Exit::storage, "standard output", "cannot be written: {}", std::strerror(errno));
    text.remove_prefix(size_t(written));
  }
}

// Rows in place of those drawn before.
class Drawing {
 public:
  void draw(const std::vector<std::string>& rows) {
    std::string text = drawn_ > 0 ? fmt::format("\x1b[{}A", drawn_) : "";
    for (const std::string& row : rows) text += "\r\x1b[K" + row + "\n";
    if (rows.size() < drawn_) text += "\x1b[J";
    put(text);
    drawn_ = rows.size();
  }

 private:
  size_t drawn_ = 0;
};

std::string ending(const RunView& run) {
  if (run.vanished) return fmt::format("{} vanished", run.name);
  return fmt::format("{} {}: {}{}", run.name,
                     run.state == State::stopped   ? "was stopped"
                     : run.state == State::running ? "is running"
                                                   : fmt::format("is {}", name_of(run.state)),
                     progress_text(run), run.history().evaluations.last ? ", evaluation " + evaluation_text(run) : "");
}

}  // namespace

std::string sparkline(const std::vector<double>& values, size_t columns, bool blocks) {
  constexpr std::string_view kBlocks[] = {"▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"},
                             kLetters[] = {".", ".", ":", "-", "=", "+", "*", "#"};
  double least = std::numeric_limits<double>::infinity(), largest = -least;
  const size_t first = values.size() > columns ? values.size() - columns : 0;
  for (size_t i = first; i < values.size(); ++i)
    if (std::isfinite(values[i])) least = std::min(least, values[i]), largest = std::max(largest, values[i]);
  const std::string_view* const levels = blocks ? kBlocks : kLetters;
  std::string text;
  for (size_t i = first; i < values.size(); ++i) {
    const double share = largest > least ? (values[i] - least) / (largest - least) : 0.5;
    if (std::isfinite(values[i])) text += levels[std::min<size_t>(7, size_t(share * 8))];
    else text += ' ';
  }
  return text;
}

std::vector<std::string> alarms_of(const RunView& run, double now, double free) {
  const History& h = run.history();
  std::vector<std::string> alarms;
  const double norm = last(run, Field::grad_norm), norms = finite_median(recent(run, Field::grad_norm));
  if (norm > kHighNorm * norms)
    alarms.push_back(fmt::format("gradient norm {} is {} times the median of {} steps", figure(norm, 3),
                                 figure(norm / norms, 2), h.recent.size()));
  const double speed = last(run, Field::tokens_per_second),
               speeds = finite_median(recent(run, Field::tokens_per_second));
  if (speed < kSlow * speeds)
    alarms.push_back(fmt::format("{} tokens/s are {} of the median of {} steps", whole(speed),
                                 figure(speed / speeds, 2), h.recent.size()));
  const auto skipped = std::ranges::find_if(h.recent.rbegin(), h.recent.rend(), &Line::skipped);
  if (skipped != h.recent.rend())
    alarms.push_back(fmt::format("step {} was skipped, {} in all", whole(double(skipped->step)),
                                 whole(double(h.totals.skipped_steps))));
  if (h.evaluations.rose >= kRises)
    alarms.push_back(fmt::format("the evaluation's loss rose {} times in a row", h.evaluations.rose));
  const double step = finite_median(recent(run, Field::seconds));
  if (run.alive && h.ends.last_time && now - *h.ends.last_time > kLateSteps * step)
    alarms.push_back(fmt::format("metrics.jsonl has not grown for {}; the median step takes {}",
                                 duration(now - *h.ends.last_time), duration(step)));
  double checkpoint = 0;
  for (const CheckpointEntry& c : run.files.checkpoints) checkpoint = std::max(checkpoint, double(c.bytes));
  if (free < kCheckpoints * checkpoint)
    alarms.push_back(fmt::format("{} of disk are left; two checkpoints take {}", bytes_text(free),
                                 bytes_text(kCheckpoints * checkpoint)));
  return alarms;
}

std::vector<std::string> screen_of(const RunView& run, const Screen& screen, double now, double free) {
  Rows rows(screen);
  rows.add(fmt::format("{} {}, {}", run.name, name_of(run.state), progress_text(run)), colour_of(run.state));
  for (const std::string& alarm : alarms_of(run, now, free)) rows.add("! " + alarm, "1;31");
  rows.add(curve_row(run, "loss", Field::loss, figure(last(run, Field::loss)), screen));
  rows.add(curve_row(run, "norm", Field::grad_norm, figure(last(run, Field::grad_norm), 3), screen));
  rows.add(curve_row(run, "tokens/s", Field::tokens_per_second, whole(last(run, Field::tokens_per_second)), screen));
  if (run.history().evaluations.last) rows.add(fmt::format("{:<{}}{}", "evaluation", kName, evaluation_text(run)));
  rows.add(fmt::format("{:<{}}{}", "device", kName, device_text(run)));
  return rows.take();
}

std::string plain_line(const RunView& run) {
  std::string text =
      fmt::format("{}: {}, loss {}, norm {}, {} tokens/s", run.name, progress_text(run), figure(last(run, Field::loss)),
                  figure(last(run, Field::grad_norm), 3), whole(last(run, Field::tokens_per_second)));
  if (run.history().evaluations.last) text += ", evaluation " + evaluation_text(run);
  return fitted(text, text.size());
}

Exit watch(const std::string& directory, bool plain) {
  RunView run = open_run(directory, "");
  refresh(run);
  if (!run.history().ends.first && !run.alive)
    fail(Exit::input, run.log->path(), "has no step that can be read; name the run.directory of a run");
  const bool drawn = !plain && moves_cursor(STDOUT_FILENO);
  const bool colours = std::getenv("NO_COLOR") == nullptr, blocks = says_utf8();
  const Signals signals;
  Drawing drawing;
  for (auto told = Clock::time_point();; refresh(run)) {
    const bool ended = !run.alive || run.vanished || signals.stop();
    const std::optional<uint64_t> known = free_bytes(directory);
    const double now = unix_seconds(), free = known ? double(*known) : std::nan("");
    if (drawn) {
      const TerminalSize size = terminal_size(STDOUT_FILENO);
      drawing.draw(screen_of(run, {size.columns, size.rows, colours, blocks}, now, free));
    } else if (!ended && Clock::now() - told >= kPlainPause) {
      told = Clock::now();
      put(plain_line(run) + "\n");
      for (const std::string& alarm : alarms_of(run, now, free)) put("! " + alarm + "\n");
    }
    if (ended) break;
    const auto start = Clock::now();
    while (Clock::now() - start < kLook && !signals.stop()) std::this_thread::sleep_for(kNap);
  }
  put(fitted(ending(run), drawn ? terminal_size(STDOUT_FILENO).columns - 1 : 1000) + "\n");
  return Exit::ok;
}

}  // namespace tandem::report
