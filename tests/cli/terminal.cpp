// What a run draws on terminals of several widths and kinds.
#include <doctest/doctest.h>
#include <poll.h>
#include <pty.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <future>

#include "tests/cli/run_place.h"

namespace tandem::test {
namespace {

// A run of 12 steps whose standard error is a terminal; returns what it wrote there.
std::string drawn(uint16_t columns, const char* kind) {
  const RunPlace place;
  winsize size{24, columns, 0, 0};
  int terminal = -1, inside = -1;
  REQUIRE(openpty(&terminal, &inside, nullptr, nullptr, &size) == 0);
  auto written = std::async(std::launch::async, [&] {
    std::string text;
    char part[4096];
    for (ssize_t n; (n = read(terminal, part, sizeof part)) > 0;) text.append(part, size_t(n));
    return text;
  });
  const char* const before = std::getenv("TERM");
  const std::string kept = before ? before : "";
  kind ? setenv("TERM", kind, 1) : unsetenv("TERM");
  const Outcome o = place.tandem({"train", "c.toml"}, {.err = inside});
  before ? setenv("TERM", kept.c_str(), 1) : unsetenv("TERM");
  close(inside);
  const std::string text = written.get();
  close(terminal);
  INFO(text);
  CHECK(o.exit == 0);
  return text;
}

// The lengths of the lines that are written over by the next; others are messages.
std::vector<size_t> redraws(const std::string& text) {
  constexpr std::string_view begin = "\r\x1b[K";
  std::vector<size_t> lengths;
  for (size_t at = text.find(begin), next; (next = text.find(begin, at + 1)) != text.npos; at = next)
    if (text.find('\n', at) > next) lengths.push_back(next - at - begin.size());
  return lengths;
}

TEST_CASE("the progress line is cut to the terminal, on vulkan" * doctest::skip(no_terminals())) {
  for (const auto& [columns, most] : {std::pair<uint16_t, size_t>{120, 119}, {60, 59}, {7, 6}, {0, 79}}) {
    CAPTURE(columns);
    const std::vector<size_t> lengths = redraws(drawn(columns, "xterm"));
    REQUIRE(!lengths.empty());
    CHECK(*std::max_element(lengths.begin(), lengths.end()) <= most);
  }
}

TEST_CASE("a run with nothing to warn of starts in three lines, on vulkan" * doctest::skip(no_terminals())) {
  const std::string text = drawn(80, "dumb");
  const std::string start = text.substr(0, text.find("step 1/12"));
  INFO(start);
  CHECK(std::ranges::count(start, '\n') <= 3);  // the device, what is predicted, the data
}

TEST_CASE("a terminal that does not move its cursor gets plain lines, on vulkan" * doctest::skip(no_terminals())) {
  for (const char* kind : {"dumb", "", static_cast<const char*>(nullptr)}) {
    const std::string text = drawn(80, kind);
    CHECK(text.find('\x1b') == text.npos);
    CHECK(text.find("step 12/12  loss") != text.npos);
  }
}

}  // namespace
}  // namespace tandem::test
