#include "core/run/progress.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>

#include "core/base/message.h"
#include "core/base/terminal.h"

namespace tandem {
namespace {

using Clock = std::chrono::steady_clock;

std::string duration(double seconds) {
  const auto s = uint64_t(std::max(0.0, seconds));
  return s >= 3600 ? fmt::format("{}:{:02}:{:02}", s / 3600, s / 60 % 60, s % 60)
                   : fmt::format("{}:{:02}", s / 60, s % 60);
}

// value, or a dash where there is none
std::string figure(double value, int digits) {
  return std::isfinite(value) ? fmt::format("{:.{}f}", value, digits) : "-";
}

}  // namespace

Progress::Progress(uint64_t steps, uint64_t tokens)
    : steps_(steps), tokens_(tokens), terminal_(moves_cursor(STDERR_FILENO)), start_(Clock::now()), last_() {}

Progress::~Progress() {
  if (drawn_) write_message("\n");
}

void Progress::clear() {
  if (drawn_) write_message("\r\x1b[K");
  drawn_ = false;
}

void Progress::message(const std::string& text) {
  clear();
  write_message(text + "\n");
}

// a terminal: at most 10 times a second; otherwise the first, every tenth part of the run at least, and every 10
// seconds
void Progress::step(const StepMetrics& m) {
  if (first_step_ == 0) first_step_ = m.step;
  const auto now = Clock::now();
  const bool end = m.step == steps_ || m.step == first_step_;
  const bool due = terminal_
                       ? now - last_ > std::chrono::milliseconds(100)
                       : now - last_ > std::chrono::seconds(10) || m.step % std::max<uint64_t>(1, steps_ / 10) == 0;
  if (m.skipped)
    message(fmt::format("step {}: {}; the step is skipped", m.step,
                        m.targets == 0 ? "no target counts" : "loss or gradient norm is not finite"));
  else if (m.skipped_tensors.value_or(0) > 0)
    message(fmt::format("step {}: the gradients of {} stored tensors are not finite; these tensors stay as they are",
                        m.step, *m.skipped_tensors));
  if (!end && !due) return;
  last_ = now;
  draw(m);
}

void Progress::draw(const StepMetrics& m) {
  const double elapsed = std::chrono::duration<double>(Clock::now() - start_).count();
  const double per_step = elapsed / double(m.step - first_step_ + 1);
  const std::string text =
      fmt::format("step {}/{}  loss {}  norm {}  {:.0f} tokens/s  {} left", m.step, steps_, figure(m.loss, 4),
                  figure(m.grad_norm, 3), double(m.tokens - tokens_) / std::max(elapsed, 1e-9),
                  duration(per_step * double(steps_ - m.step)));
  if (!terminal_) {
    write_message(text + "\n");
    return;
  }
  const size_t width = terminal_size(STDERR_FILENO).columns - 1;  // writing into the last column wraps on some
  const size_t bar = width > text.size() + 8 ? std::min<size_t>(30, width - text.size() - 3) : 0;
  const size_t full = size_t(double(bar) * double(m.step) / double(std::max<uint64_t>(1, steps_)));
  const std::string line =
      fmt::format("{}{}", bar > 0 ? fmt::format("[{:=<{}}{: <{}}] ", "", full, "", bar - full) : "", text);
  write_message("\r\x1b[K" + line.substr(0, width));
  drawn_ = true;
}

}  // namespace tandem
