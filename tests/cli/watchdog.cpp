// Devices that do not answer, or not soon enough.
#include "core/runtime/watchdog.h"

#include <doctest/doctest.h>

#include <chrono>
#include <cmath>
#include <cstdlib>

#include "tests/cli/command.h"

namespace tandem::test {
namespace {

// TANDEM_DEVICE_TIMEOUT for a scope
struct Timeout {
  explicit Timeout(const char* seconds) { setenv("TANDEM_DEVICE_TIMEOUT", seconds, 1); }
  ~Timeout() { unsetenv("TANDEM_DEVICE_TIMEOUT"); }
};

// a workplace with the config of a run whose micro-steps take more than a moment
struct LongRun : Workplace {
  LongRun() {
    write_model("model");
    write_tokens("train.bin", 512 * 8 + 1, 257);
    write("c.toml", small_config({{"data.sequence_length", "512"}, {"batch.micro_batch", "8"}}));
  }
};

TEST_CASE("watchdog: the limit comes from the environment") {
  CHECK(device_timeout() == Seconds(1800));
  CHECK((Timeout("2.5"), device_timeout()) == Seconds(2.5));
  CHECK(std::isinf((Timeout("0"), device_timeout()).count()));
  for (const char* text : {"", "soon", "-1", "5s", "nan", "inf", "1e999"}) {
    const Timeout timeout(text);
    CHECK(thrown(Exit::configuration, [] { device_timeout(); }).starts_with("[TANDEM_DEVICE_TIMEOUT]"));
  }
}

TEST_CASE("watchdog: a device that finishes something in time may take as long as it likes") {
  uint64_t finished = 0, asked = 0;
  wait_for_device("slow", 40, Seconds(2), [&](Seconds at_most) {
    CHECK(at_most == Seconds(1));
    return finished += asked++ % 2;  // nothing every other time, and 1 s each as the watchdog counts
  });
  CHECK(finished == 40);
}

TEST_CASE("watchdog: a run on a device that never answers ends with 6") {
  const LongRun place;
  const Timeout timeout("0.3");
  const char* program = std::getenv("TANDEM_SILENT_DEVICE");
  REQUIRE(program != nullptr);
  const auto start = std::chrono::steady_clock::now();
  const Outcome o = place.run(program, {"c.toml"});
  CHECK(std::chrono::steady_clock::now() - start < std::chrono::seconds(60));
  INFO("standard error: ", o.err);
  CHECK(o.exit == 6);
  CHECK(o.says("[silent]"));
  CHECK(o.says("0.3 s"));
  CHECK(o.says("TANDEM_DEVICE_TIMEOUT"));
  CHECK(o.says("--resume"));
}

TEST_CASE("watchdog: a step beyond the limit ends the run with 6 on vulkan") {
  const LongRun place;
  const Timeout timeout("0.001");
  const Outcome o = place.tandem({"train", "c.toml"});
  INFO("standard error: ", o.err);
  CHECK(o.exit == 6);
  CHECK(o.says("TANDEM_DEVICE_TIMEOUT"));
  CHECK_FALSE(file_exists(place.path("run/model")));
}

}  // namespace
}  // namespace tandem::test
