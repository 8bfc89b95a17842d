#include "core/runtime/watchdog.h"

#include <algorithm>
#include <atomic>
#include <charconv>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <limits>

namespace tandem {
namespace {

constexpr const char* kVariable = "TANDEM_DEVICE_TIMEOUT";
constexpr Seconds kDefault{1800}, kLongestSlice{1};

std::atomic<bool> hangs = false;

[[noreturn]] void give_up(std::string_view device, Seconds timeout) {
  hangs = true;
  throw DeviceHangs(fmt::format(
      "[{}] the device has finished nothing for {} s and may hang: look into the system log, then go on with "
      "--resume; if it was still at work, raise {} (seconds; 0: no limit)",
      device, timeout.count(), kVariable));
}

}  // namespace

Seconds device_timeout() {
  const char* text = std::getenv(kVariable);
  if (text == nullptr) return kDefault;
  const char* end = text + std::strlen(text);
  double seconds = 0;
  const auto [at, error] = std::from_chars(text, end, seconds);
  if (error != std::errc() || at != end || !std::isfinite(seconds) || seconds < 0)
    fail(Exit::configuration, kVariable, "'{}' is not a time in seconds; 0 means no limit", text);
  return seconds == 0 ? Seconds(std::numeric_limits<double>::infinity()) : Seconds(seconds);
}

bool device_hangs() {
  return hangs;
}

void wait_for_device(std::string_view device, uint64_t target, Seconds timeout, const FinishedWithin& finished) {
  const Seconds slice = std::min(timeout, kLongestSlice);
  // counted in slices, not by a clock: a process that was stopped for an hour has not waited for an hour
  Seconds silent{0};
  uint64_t before = 0;
  for (uint64_t now; (now = finished(slice)) < target;) {
    silent = now > before ? Seconds(0) : silent + slice;
    before = now;
    if (silent >= timeout) give_up(device, timeout);
  }
}

}  // namespace tandem
