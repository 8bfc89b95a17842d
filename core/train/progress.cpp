#include "core/train/progress.h"

#include <fmt/format.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>

#include "core/base/message.h"

namespace tandem {
namespace {

using Clock = std::chrono::steady_clock;

std::string duration(double seconds) {
  const auto s = uint64_t(std::max(0.0, seconds));
  return s >= 3600 ? fmt::format("{}:{:02}:{:02}", s / 3600, s / 60 % 60, s % 60)
                   : fmt::format("{}:{:02}", s / 60, s % 60);
}

size_t terminal_width() {
  winsize size{};
  return ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 20 ? size.ws_col : 80;
}

}  // namespace

Progress::Progress(uint64_t steps, uint64_t tokens_per_step)
    : steps_(steps),
      tokens_per_step_(tokens_per_step),
      terminal_(isatty(STDERR_FILENO) == 1),
      start_(Clock::now()),
      last_() {}

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
  if (!end && !due) return;
  last_ = now;
  draw(m);
}

void Progress::draw(const StepMetrics& m) {
  const double elapsed = std::chrono::duration<double>(Clock::now() - start_).count();
  const double per_step = elapsed / double(m.step - first_step_ + 1);
  const std::string text =
      fmt::format("step {}/{}  loss {:.4f}  norm {:.3f}  {:.0f} tokens/s  {} left", m.step, steps_, m.loss, m.grad_norm,
                  double(tokens_per_step_) / std::max(per_step, 1e-9), duration(per_step * double(steps_ - m.step)));
  if (!terminal_) {
    write_message(text + "\n");
    return;
  }
  const size_t width = terminal_width();
  const size_t bar = width > text.size() + 8 ? std::min<size_t>(30, width - text.size() - 4) : 0;
  const size_t full = size_t(double(bar) * double(m.step) / double(std::max<uint64_t>(1, steps_)));
  write_message(
      fmt::format("\r\x1b[K{}{}", bar > 0 ? fmt::format("[{:=<{}}{: <{}}] ", "", full, "", bar - full) : "", text));
  drawn_ = true;
}

}  // namespace tandem
