#include "core/run/signals.h"

#include <signal.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <cstring>

#include "core/base/error.h"

namespace tandem {
namespace {

constexpr int kSecondInterrupt = 130;  // as a shell reports a process that SIGINT ended
constexpr std::array kSignals{SIGTERM, SIGINT, SIGUSR1, SIGHUP};

std::atomic<bool> stop_asked, save_asked;
std::atomic<int> interrupts;
std::array<struct sigaction, kSignals.size()> previous;
static_assert(std::atomic<bool>::is_always_lock_free && std::atomic<int>::is_always_lock_free,
              "a signal handler may use nothing else");

void handle(int signal) {
  if (signal == SIGINT && interrupts.fetch_add(1) > 0) ::_exit(kSecondInterrupt);
  if (signal == SIGUSR1) save_asked = true;
  else stop_asked = true;
}

}  // namespace

Signals::Signals() {
  stop_asked = save_asked = false;
  interrupts = 0;
  struct sigaction action = {};
  action.sa_handler = handle;
  action.sa_flags = SA_RESTART;
  sigemptyset(&action.sa_mask);
  const auto set = [](int signal, const struct sigaction& now, struct sigaction* before) {
    if (::sigaction(signal, &now, before) != 0)
      fail(Exit::internal, "signals", "cannot be handled: {}", std::strerror(errno));
  };
  for (size_t i = 0; i < kSignals.size(); ++i) {
    set(kSignals[i], action, &previous[i]);
    // nohup ignores a hangup, so that the run outlives its terminal
    if (kSignals[i] == SIGHUP && previous[i].sa_handler == SIG_IGN) set(SIGHUP, previous[i], nullptr);
  }
}

Signals::~Signals() {
  for (size_t i = 0; i < kSignals.size(); ++i) ::sigaction(kSignals[i], &previous[i], nullptr);
}

bool Signals::stop() const {
  return stop_asked;
}

bool Signals::take_save() {
  return save_asked.exchange(false);
}

}  // namespace tandem
