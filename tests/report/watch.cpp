// What `tandem watch` draws, by the width and height of its terminal, and what it warns of.
#include <doctest/doctest.h>

#include <fstream>

#include "core/base/terminal.h"
#include "core/report/watch.h"
#include "tests/data/scratch.h"

namespace tandem::test {
namespace {

using namespace report;

struct Step {
  double norm = 1, speed = 100;
  bool skipped = false;
};

RunView run_of(const ScratchDirectory& place, const std::vector<Step>& steps,
               const std::vector<double>& evaluations = {}) {
  const std::string run = place.path("run");
  std::filesystem::create_directories(run);
  std::ofstream file(run + "/metrics.jsonl");
  for (size_t i = 0; i < steps.size(); ++i)
    file << fmt::format(
        "{{\"step\":{},\"loss\":2.5,\"grad_norm\":{},\"tokens\":1,\"seconds\":0.5,\"tokens_per_second\":{},\"skipped\":"
        "{},\"time\":{}}}\n",
        i + 1, steps[i].norm, steps[i].speed, steps[i].skipped, 1000 + double(i) / 2);
  for (size_t i = 0; i < evaluations.size(); ++i)
    file << fmt::format("{{\"eval\":{{\"step\":{},\"loss\":{}}}}}\n", i + 1, evaluations[i]);
  file.close();
  std::ofstream(run + "/config.toml") << "[schedule]\nsteps = 400\n";
  RunView view = open_run(run, "");
  refresh(view);
  return view;
}

size_t columns(const std::string& text) {
  size_t n = 0;
  for (const char c : text) n += (c & 0xc0) != 0x80;  // every character here takes one
  return n;
}

TEST_CASE("a screen keeps to the terminal's width and height") {
  const ScratchDirectory place;
  const RunView run = run_of(place, std::vector<Step>(200), {3, 2});
  for (const size_t width : {1, 2, 20, 60, 120})
    for (const size_t height : {1, 2, 4, 24}) {
      const auto rows = screen_of(run, {width, height, false, true}, 2000, 1e12);
      CAPTURE(width);
      CHECK(rows.size() < std::max<size_t>(height, 2));
      for (const std::string& row : rows) {
        CHECK(columns(row) <= std::max<size_t>(width - 1, 1));
        CHECK(row.find('\x1b') == row.npos);
      }
    }
  const auto coloured = screen_of(run, {60, 24, true, false}, 2000, 1e12);
  CHECK(coloured[0].starts_with("\x1b["));
  CHECK(coloured[0].find("run stopped, step 200 of 400") != std::string::npos);
}

TEST_CASE("what a run's watcher is warned of") {
  const std::vector<Step> calm(100);
  const auto alarms = [](std::vector<Step> steps, std::vector<double> evaluations = {}, double free = 1e12) {
    const ScratchDirectory place;
    return alarms_of(run_of(place, steps, evaluations), 1050, free);
  };
  CHECK(alarms(calm).empty());
  std::vector<Step> steps = calm;
  steps.back().norm = 5.1;
  CHECK(alarms(steps).size() == 1);
  steps.back().norm = 4.9;
  CHECK(alarms(steps).empty());
  steps = calm, steps.back().speed = 79;
  CHECK(alarms(steps).size() == 1);
  steps = calm, steps[50].skipped = true;
  CHECK(alarms(steps).size() == 1);
  CHECK(alarms(calm, {3, 3.1, 3.2}).empty());
  CHECK(alarms(calm, {3, 3.1, 3.2, 3.3}).size() == 1);
  CHECK(alarms(calm, {3, 3.1, 3.2, 3.1, 3.2}).empty());
}

TEST_CASE("names do not reach the terminal's control characters") {
  CHECK(fitted("a\x1b[31mb\n\x9b", 80) == "a?[31mb?\uFFFD");
  CHECK(fitted("ab\u202ec", 80) == "ab?c");
  CHECK(fitted("日本語", 5) == "日本");
}

TEST_CASE("sparklines rise with their values") {
  CHECK(sparkline({0, 1, 2, 3, 4, 5, 6, 7}, 80, true) == "▁▂▃▄▅▆▇█");
  CHECK(sparkline({0, 7, std::nan(""), 7}, 3, false) == "= =");
  CHECK(sparkline({}, 10, true).empty());
}

}  // namespace
}  // namespace tandem::test
