// Run directories that are moved away, removed or replaced under a run.
#include <doctest/doctest.h>

#include <filesystem>

#include "tests/cli/run_place.h"

namespace tandem::test {
namespace {

namespace fs = std::filesystem;
constexpr int kStorage = 7;

// at a line of metrics.jsonl once there is a checkpoint, at calls of a save, and in that of the model
const std::string kMoments[] = {"write:10:{}:metrics.jsonl",      "mkdir:1:{}:.tmp-step_00000008",
                                "write:2:{}:.tmp-step_00000008",  "rename:1:{}:.tmp-step_00000008",
                                "unlink:1:{}:.tmp-step_00000004", "write:2:{}:.tmp-model"};

void check_refused(const Outcome& o) {
  INFO(o.err);
  CHECK(o.exit == kStorage);
  CHECK(o.says("run"));
}

TEST_CASE("a run directory that is moved away ends the run with 7 and goes on from its new place, on vulkan") {
  const RunPlace place;
  REQUIRE(place.train({"--run.directory=whole"}).exit == 0);
  for (const std::string& moment : kMoments) {
    CAPTURE(moment);
    check_refused(place.train({}, fmt::format(fmt::runtime(moment), "vrun")));
    CHECK_FALSE(file_exists(place.path("run")));
    CHECK(place.resume("--run.directory=run.gone").exit == 0);
    CHECK((place.result("run.gone") == place.result("whole")));
    fs::remove_all(place.path("run.gone"));
  }
}

TEST_CASE("a run directory in whose place there is another one is left alone, with 7, on vulkan") {
  const RunPlace place;
  for (const std::string& moment : {kMoments[0], kMoments[2], kMoments[4]}) {
    CAPTURE(moment);
    const Outcome o = place.train({}, fmt::format(fmt::runtime(moment), "rrun"));
    check_refused(o);
    CHECK(fs::is_empty(place.path("run")));
    fs::remove_all(place.path("run"));
    fs::rename(place.path("run.gone"), place.path("run"));
    CHECK(place.resume().exit == 0);
    fs::remove_all(place.path("run"));
  }
}

TEST_CASE("a run directory that is removed ends the run with 7, on vulkan") {
  const RunPlace place;
  // In front of the first save, whose thread would write into what is being removed.
  const Outcome o = place.train({}, "write:3:drun:metrics.jsonl");
  check_refused(o);
  CHECK(o.says("no longer the directory of this run"));
  CHECK(o.says("--resume"));
  CHECK_FALSE(file_exists(place.path("run")));
  CHECK(place.resume().exit == 3);
}

}  // namespace
}  // namespace tandem::test
