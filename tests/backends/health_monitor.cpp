// A device's health by a management library that answers, lacks a call, refuses, never answers, or is not there.
#include "backends/common/health_monitor.h"

#include <doctest/doctest.h>

#include <cstdlib>
#include <thread>

#include "tests/support/captured_error.h"

namespace tandem::test {
namespace {

using namespace std::chrono_literals;

constexpr char kBus[] = "0000:65:00.0";

// The library that Nvml opens, and how it behaves.
struct Library {
  Library(const char* file, const char* mode) {
    ::setenv("TANDEM_NVML", file, 1);
    ::setenv("TANDEM_NVML_MODE", mode, 1);
  }
  ~Library() {
    ::unsetenv("TANDEM_NVML");
    ::unsetenv("TANDEM_NVML_MODE");
  }
};

const char* built(const char* variable) {
  const char* file = std::getenv(variable);
  REQUIRE(file != nullptr);
  return file;
}

Health next(HealthMonitor& monitor) {
  for (int i = 0; i < 1000; ++i) {
    if (const auto health = monitor.take()) return *health;
    std::this_thread::sleep_for(10ms);
  }
  FAIL("no sample in 10 s");
  return {};
}

TEST_CASE("health: power is the energy's growth over the seconds between two samples") {
  const Library library(built("TANDEM_FAKE_NVML"), "");
  HealthMonitor monitor(kBus);
  const Health first = next(monitor);
  CHECK(first.power == 42.0);
  CHECK(first.temperature == 61.0);
  CHECK(first.clock == 1410.0);
  CHECK(first.energy == 0.0);
  CHECK(!monitor.take());  // each sample once
  const Health second = next(monitor);
  CHECK(second.energy == 100.0);
  REQUIRE(second.power);
  CHECK(*second.power < 101);  // 100 J in at least a second
  CHECK(*second.power > 5);
  CHECK(free_bytes_by_nvml(kBus) == 7'000'000'000u);
}

// what is said, and the first sample
Health refused(const char* file, const char* mode, const char* bus, const std::string& said) {
  const Library library(file, mode);
  const CapturedError error;
  HealthMonitor monitor(bus);
  const Health health = next(monitor);
  CHECK(!monitor.take());
  const std::string text = error.text();
  CAPTURE(text);
  CHECK(text.find(said) != std::string::npos);
  CHECK(text.find('\n') == text.size() - 1);  // one line
  return health;
}

TEST_CASE("health: what the library lacks or refuses is left out and named once") {
  const Health lean = refused(built("TANDEM_LEAN_NVML"), "", kBus, "nvmlDeviceGetTemperature: the library lacks it");
  CHECK(!lean.temperature);
  CHECK(lean.clock == 1410.0);
  const char* whole = built("TANDEM_FAKE_NVML");
  const auto nothing = [](const Health& h) { return !h.power && !h.temperature && !h.clock && !h.energy; };
  CHECK(nothing(refused(whole, "refuse", kBus, "nvmlInit_v2: error 4")));
  CHECK(nothing(refused(whole, "", "0000:01:00.0", "error 6 for 0000:01:00.0")));
  CHECK(nothing(refused("/nowhere/libnvidia-ml.so.1", "", kBus, "/nowhere/libnvidia-ml.so.1")));
  CHECK(nothing(refused("0", "", kBus, "TANDEM_NVML is 0")));
}

TEST_CASE("health: nothing waits for a library that never answers") {
  const Library library(built("TANDEM_FAKE_NVML"), "stuck");
  const CapturedError error;
  HealthMonitor monitor(kBus, 50ms);
  CHECK(!monitor.take());
  std::this_thread::sleep_for(100ms);
  CHECK(!monitor.take());
  CHECK(!monitor.take());
  CHECK(error.text() ==
        "metrics.jsonl will lack the device's power, temperature or clock: the driver has not answered "
        "for 50 ms\n");
  CHECK(!free_bytes_by_nvml(kBus, 50ms));
}

}  // namespace
}  // namespace tandem::test
