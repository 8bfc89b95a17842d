// SIGTERM, SIGINT, SIGHUP, a second SIGINT and SIGUSR1 at each part of a run.
#include <doctest/doctest.h>
#include <signal.h>

#include <filesystem>

#include "core/run/checkpoint.h"
#include "tests/cli/run_place.h"

namespace tandem::test {
namespace {

struct Moment {
  const char* part;
  const char* fault;     // {}: the signal
  uint64_t saved;        // steps of the newest checkpoint when the run was stopped there
  bool or_more = false;  // the run goes on while it writes
};

constexpr uint64_t kDone = 12;
constexpr Moment kMoments[] = {{"load", "open:1:{}:model/config.json", 0},
                               {"ready", "open:1:{}:metrics.jsonl", 0},
                               {"first step", "write:1:{}:metrics.jsonl", 1},
                               {"save", "write:3:{}:.tmp-step_00000004", 4, true},
                               {"step before an evaluation", "write:5:{}:metrics.jsonl", 5},
                               {"evaluation", "write:6:{}:metrics.jsonl", 5},
                               {"rotation", "unlink:1:{}:.tmp-step_00000004", kDone},
                               {"model", "write:2:{}:.tmp-model", kDone}};

struct SignalPlace : RunPlace {
  SignalPlace() {
    ::signal(SIGHUP, SIG_DFL);  // whoever runs the tests may ignore it
    REQUIRE(train({"--run.directory=whole"}).exit == 0);
  }
  // goes on to the end, from the start where nothing was saved
  void check_goes_on() const {
    const bool saved = !checkpoint_steps(path("run/checkpoints")).empty();
    if (!saved) std::filesystem::remove_all(path("run"));
    CHECK(train(saved ? std::vector<std::string>{"--resume"} : std::vector<std::string>{}).exit == 0);
    CHECK((result("run") == result("whole")));
    std::filesystem::remove_all(path("run"));
  }
};

std::string fault_of(const Moment& m, const std::string& signal) {
  return fmt::format(fmt::runtime(m.fault), signal);
}

TEST_CASE("a signal to stop, at any moment, saves and exits with 75, on vulkan") {
  const SignalPlace place;
  int number = SIGINT;
  for (const Moment& m : kMoments) {
    number = number == SIGINT ? SIGTERM : number == SIGTERM ? SIGHUP : SIGINT;
    const Outcome o = place.train({}, fault_of(m, fmt::format("s{}", number)));
    INFO(m.part, ": ", o.err);
    CHECK(o.exit == (std::string(m.part) == "model" ? 0 : kStopped));  // then all is saved, and it ends
    const uint64_t saved = checkpoint_steps(place.path("run/checkpoints")).front();
    CHECK((m.or_more ? saved >= m.saved : saved == m.saved));
    place.check_goes_on();
  }
}

TEST_CASE("a second SIGINT, at any moment, ends the run at once with 130, and it goes on, on vulkan") {
  const SignalPlace place;
  for (const Moment& m : kMoments) {
    const Outcome o = place.train({}, fault_of(m, fmt::format("S{}", SIGINT)));
    INFO(m.part, ": ", o.err);
    CHECK(o.exit == 130);
    place.check_goes_on();
  }
}

TEST_CASE("SIGUSR1, at any moment, saves after the step and changes nothing, on vulkan") {
  const SignalPlace place;
  for (const Moment& m : kMoments) {
    const Outcome o = place.train({}, fault_of(m, fmt::format("s{}", SIGUSR1)));
    INFO(m.part, ": ", o.err);
    CHECK(o.exit == 0);
    if (m.saved < kDone && !m.or_more) CHECK(o.says(fmt::format("saved step {} ", std::max(m.saved, uint64_t{1}))));
    CHECK((place.result("run") == place.result("whole")));
    std::filesystem::remove_all(place.path("run"));
  }
}

TEST_CASE("a hangup that is ignored at the start, as by nohup, stays ignored, on vulkan") {
  const SignalPlace place;
  ::signal(SIGHUP, SIG_IGN);
  const Outcome o = place.train({}, fmt::format("write:1:s{}:metrics.jsonl", SIGHUP));
  INFO(o.err);
  CHECK(o.exit == 0);
  CHECK((place.result("run") == place.result("whole")));
}

TEST_CASE("a signal while a run is loaded to go on saves nothing anew, on vulkan") {
  const SignalPlace place;
  REQUIRE(place.train({}, fmt::format("write:7:s{}:metrics.jsonl", SIGTERM)).exit == kStopped);
  const std::string lines = place.read("run/metrics.jsonl");
  for (const char* at : {"model/config.json", "step_00000006/manifest.json", ".tmp-plan.json"}) {
    const Outcome o = place.train({"--resume"}, fmt::format("open:1:s{}:{}", SIGTERM, at));
    INFO(at, ": ", o.err);
    CHECK(o.exit == kStopped);
    CHECK(checkpoint_steps(place.path("run/checkpoints")) == std::vector<uint64_t>{6, 4});
    CHECK(place.read("run/metrics.jsonl") == lines);
  }
  const Outcome longer = place.train({"--resume", "--schedule.steps=7"});
  CHECK(longer.exit == 0);
  CHECK(longer.says("schedule.steps"));
}

}  // namespace
}  // namespace tandem::test
