// Buckets against a slow reference, quantiles against sorted lists, and what lines of metrics are taken for.
#include <doctest/doctest.h>

#include <algorithm>
#include <fstream>
#include <random>

#include "core/report/events.h"
#include "core/report/history.h"
#include "core/report/page.h"
#include "core/report/text.h"
#include "tests/data/scratch.h"

namespace tandem::test {
namespace {

using namespace report;

struct Figure {
  uint64_t step;
  double value;
};

// Figures with gaps, jumps and values that are not finite.
std::vector<Figure> drawn(uint32_t seed) {
  std::mt19937 random(seed);
  const uint64_t count = 1 + random() % 9000;
  std::vector<Figure> figures;
  uint64_t step = 1 + random() % 100;
  for (uint64_t i = 0; i < count; ++i, ++step) {
    if (random() % 50 == 0) step += random() % 400;
    const double value = random() % 40 == 0 ? std::nan("") : double(int32_t(random())) / 1e6;
    figures.push_back({step, value});
  }
  return figures;
}

// The least width, a power of two, at which the figures fall into at most 1500 buckets.
uint64_t slow_width(const std::vector<Figure>& figures) {
  for (uint64_t width = 1;; width *= 2) {
    uint64_t buckets = 0, last = UINT64_MAX;
    for (const Figure& f : figures)
      if ((f.step - 1) / width != last) last = (f.step - 1) / width, ++buckets;
    if (buckets <= kMostBuckets) return width;
  }
}

TEST_CASE("buckets are those of a slow reference") {
  for (uint32_t seed = 0; seed < 200; ++seed) {
    CAPTURE(seed);
    const std::vector<Figure> figures = drawn(seed);
    Series series;
    for (const Figure& f : figures) series.add({f.step, double(f.step) * 10, double(f.step) / 4}, f.value);
    const uint64_t width = slow_width(figures);
    REQUIRE(series.width() == width);
    size_t at = 0;
    for (const Bucket& b : series.buckets()) {
      uint64_t count = 0, bad = 0, least_step = 0, largest_step = 0, last_step = 0;
      double sum = 0, least = 0, largest = 0, last = 0;
      for (; at < figures.size() && (figures[at].step - 1) / width == b.index; ++at) {
        const auto [step, value] = figures[at];
        ++count;
        REQUIRE(b.last_place.step >= step);
        if (!std::isfinite(value)) {
          ++bad;
          continue;
        }
        if (count - bad == 1 || value < least) least = value, least_step = step;
        if (count - bad == 1 || value > largest) largest = value, largest_step = step;
        sum += value;
        last = value;
        last_step = step;
      }
      REQUIRE(b.count == count);
      REQUIRE(b.not_finite == bad);
      REQUIRE(b.last_place.step == figures[at - 1].step);
      REQUIRE(b.last_place.tokens == double(figures[at - 1].step) * 10);
      if (b.finite() == 0) continue;
      REQUIRE(b.least == least);
      REQUIRE(b.largest == largest);
      REQUIRE(b.last == last);
      REQUIRE(b.least_step == least_step);
      REQUIRE(b.largest_step == largest_step);
      REQUIRE(b.last_step == last_step);
      REQUIRE(b.mean() == doctest::Approx(sum / double(count - bad)).epsilon(1e-9));
    }
    REQUIRE(at == figures.size());
  }
}

TEST_CASE("quantiles are within a hundredth of those of a sorted list") {
  std::mt19937 random(7);
  for (const size_t count : {1, 2, 3, 10, 1000, 20000}) {
    Quantiles quantiles;
    std::vector<double> values;
    for (size_t i = 0; i < count; ++i) {
      values.push_back(std::exp(double(random() % 10000) / 1000 - 5));
      quantiles.add(values.back());
    }
    std::ranges::sort(values);
    for (const double share : {0.05, 0.5, 0.95}) {
      const double place = share * double(count - 1);
      const auto below = size_t(place);
      const double above = values[std::min(below + 1, count - 1)];
      const double expected = values[below] + (place - double(below)) * (above - values[below]);
      CAPTURE(count);
      CHECK(quantiles.quantile(share) == doctest::Approx(expected).epsilon(0.01));
    }
  }
  CHECK(std::isnan(Quantiles().median()));
}

TEST_CASE("lines that are left out") {
  for (const char* text : {"",
                           "null",
                           "[]",
                           "3",
                           "{",
                           "{}",
                           "{\"step\":0}",
                           "{\"step\":-1}",
                           "{\"step\":1.5}",
                           "{\"step\":\"1\"}",
                           "{\"step\":1,\"loss\":\"2\"}",
                           "{\"step\":1,\"loss\":true}",
                           "{\"step\":1,\"loss\":[2]}",
                           "{\"step\":1,\"loss\":{}}",
                           "{\"step\":1,\"tokens\":1.5}",
                           "{\"step\":1,\"tokens\":-4}",
                           "{\"step\":1,\"skipped\":0}",
                           "{\"step\":1,\"loss\":1e999}",
                           "{\"step\":1,\"loss\":NaN}",
                           "{\"step\":1} x",
                           "{\"eval\":1}",
                           "{\"eval\":[]}",
                           "{\"eval\":{}}",
                           "{\"eval\":{\"loss\":1}}",
                           "{\"eval\":{\"step\":1,\"loss\":\"x\"}}",
                           "{\"step\":1,\"eval\":null}"})
    CHECK_MESSAGE(!parse_line(text), text);
}

TEST_CASE("lines that are taken") {
  const auto step =
      parse_line(R"({"step":7,"loss":null,"grad_norm":2,"new":{"step":[1,{"loss":"x"}]},"skipped":true})");
  REQUIRE(step);
  CHECK(step->step == 7);
  CHECK(step->skipped);
  CHECK(step->is_null(Field::loss));
  CHECK(std::isnan((*step)[Field::loss]));
  CHECK((*step)[Field::grad_norm] == 2);
  CHECK(!step->has(Field::seconds));
  const auto evaluation = parse_line(R"({"eval":{"step":9,"loss":1.5,"tokens":4,"deep":[{}]},"step":"beside"})");
  REQUIRE(evaluation);
  CHECK(evaluation->evaluation);
  CHECK(evaluation->step == 9);
  CHECK((*evaluation)[Field::loss] == 1.5);
}

TEST_CASE("fuzzed lines end in a line or in nothing") {
  std::mt19937 random(3);
  const std::string good = R"({"step":7,"loss":1.5,"eval":{"step":2,"tokens":3},"skipped":true,"x":[1,"2"]})";
  size_t taken = 0;
  for (int i = 0; i < 200000; ++i) {
    std::string text = good;
    for (auto n = 1 + random() % 4; n > 0 && !text.empty(); --n) {
      const size_t at = random() % text.size();
      if (random() % 3 == 0) text.erase(at, 1 + random() % 8);
      else text[at] = char(random());
    }
    taken += parse_line(text).has_value();
  }
  CHECK(taken > 0);
  CHECK(taken < 200000);
}

// What a page says of a file, read at once.
std::string page_after(const std::string& directory) {
  std::vector<RunView> runs;
  runs.push_back(open_run(directory, ""));
  refresh(runs[0]);
  return page_of(runs, false);
}

TEST_CASE("a file that is followed gives the page of one that is read at once, after cuts too") {
  const ScratchDirectory place;
  const std::string run = place.path("run");
  std::filesystem::create_directory(run);
  std::mt19937 random(11);
  std::vector<RunView> followed;
  followed.push_back(open_run(run, ""));
  uint64_t step = 0, cut = 0;
  std::string text;
  for (int part = 0; part < 60; ++part) {
    if (part % 20 == 19) {  // a resumed run: as far as a checkpoint, in a file that takes the other's place
      cut = step / 2;
      const size_t end = text.find(fmt::format("{{\"step\":{},", cut + 1));
      text.resize(end);
      step = cut;
      std::ofstream(run + "/new") << text;
      std::filesystem::rename(run + "/new", run + "/metrics.jsonl");
    }
    std::string more;
    for (auto n = random() % 300; n > 0; --n) {
      ++step;
      more += fmt::format("{{\"step\":{},\"loss\":{},\"tokens\":{},\"seconds\":0.5,\"tokens_per_second\":{}}}\n", step,
                          random() % 50 == 0 ? "null" : fmt::format("{}", 1 + double(random() % 1000) / 500), step * 64,
                          100 + random() % 20);
      if (step % 100 == 0) more += fmt::format("{{\"eval\":{{\"step\":{},\"loss\":{}}}}}\n", step, 2.0 / double(step));
    }
    text += more;
    const size_t half = more.size() / 2;  // in the middle of a line, mostly
    std::ofstream(run + "/metrics.jsonl", std::ios::app) << more.substr(0, half);
    refresh(followed[0]);
    std::ofstream(run + "/metrics.jsonl", std::ios::app) << more.substr(half);
    if (part % 3 == 0) refresh(followed[0]);
  }
  refresh(followed[0]);
  CHECK(page_of(followed, false) == page_after(run));
  CHECK(cut > 0);
}

TEST_CASE("where steps repeat or go back the later line holds") {
  const ScratchDirectory place;
  const auto page = [&](const std::string& name, std::vector<std::pair<int, int>> lines) {
    std::filesystem::create_directories(place.path(name + "/run"));
    std::ofstream file(place.path(name + "/run/metrics.jsonl"));
    for (const auto& [step, loss] : lines) file << fmt::format("{{\"step\":{},\"loss\":{}}}\n", step, loss);
    file.close();
    return page_after(place.path(name + "/run"));
  };
  const std::string expected = page("straight", {{1, 10}, {2, 20}, {3, 31}, {4, 41}, {5, 50}});
  CHECK(page("back", {{1, 10}, {2, 20}, {3, 30}, {4, 40}, {5, 50}, {3, 31}, {4, 41}}) == expected);
  CHECK(page("twice", {{1, 9}, {1, 10}, {2, 20}, {3, 30}, {3, 31}, {4, 41}, {5, 50}}) == expected);
}

TEST_CASE("texts are escaped for HTML and for a script") {
  CHECK(escaped("<a href='x'>&\"</a>") == "&lt;a href=&#39;x&#39;&gt;&amp;&quot;&lt;/a&gt;");
  CHECK(escaped("a\u202eb\x01\xff") == "a[U+202E]b[U+0001]\uFFFD");
  CHECK(json_string("</script>\n\"\\é\U0001F600") ==
        "\"\\u003c\\u002fscript\\u003e\\u000a\\u0022\\u005c\\u00e9\\ud83d\\ude00\"");
}

TEST_CASE("the checksum of event files is CRC-32C") {
  CHECK(crc32c("123456789") == 0xE3069283);
  CHECK(crc32c("") == 0);
}

}  // namespace
}  // namespace tandem::test
