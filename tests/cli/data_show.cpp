// `tandem data show`: documents and windows, as text and as JSON.
#include <doctest/doctest.h>
#include <fcntl.h>
#include <pty.h>
#include <unistd.h>

#include "tests/cli/command.h"

namespace tandem::test {
namespace {

// Three documents: "q?" with the answer "yes", "\x1b[31mred" and "b"; each ends in 256.
struct ShowPlace : Workplace {
  ShowPlace() {
    write("a.jsonl",
          "{\"prompt\": \"q?\", \"completion\": \"yes\"}\n{\"text\": \"\\u001b[31mred\", \"targets\": []}\n"
          "{\"text\": \"b\"}\n");
    REQUIRE(tandem({"data", "tokenize", "--tokenizer", "bytes", "a.jsonl", "--out", "a.bin"}).exit == 0);
  }
  Outcome show(std::vector<std::string> more) const {
    more.insert(more.begin(), {"data", "show", "a.bin"});
    return tandem(more);
  }
};

TEST_CASE("data show marks targets, writes special tokens out, and lets no text drive the terminal") {
  const ShowPlace place;
  CHECK(place.show({"--tokenizer", "bytes"}).out ==
        "document 0: tokens 0..5, 6 tokens, 4 targets\nq?⟦yes\uFFFD⟧\n"
        "document 1: tokens 6..14, 9 tokens, 1 targets\n\\x1b[31mred⟦\uFFFD⟧\n"
        "document 2: tokens 15..16, 2 tokens, 2 targets\n⟦b\uFFFD⟧\n");
  CHECK(place.show({"--document", "2"}).out == "document 2: tokens 15..16, 2 tokens, 2 targets\n⟦98 256 ⟧\n");
  CHECK(place.show({"--document", "1:3", "--separate-documents"}).out.find("⟦") != std::string::npos);
  CHECK(place.show({"--document", "2", "--separate-documents"}).out ==
        "document 2: tokens 15..16, 2 tokens, 1 targets\n98 ⟦256 ⟧\n");
  CHECK(place.show({"--document", "2", "--color", "always"}).out.find("\x1b[32m98 256 \x1b[0m") != std::string::npos);
}

TEST_CASE("data show --json") {
  const ShowPlace place;
  const Json j = place.show({"--tokenizer", "bytes", "--json", "--document", "0"}).json();
  CHECK(keys_of(j) == std::vector<std::string>{"documents"});
  CHECK(j.at("documents") == Json::parse(R"([{"document": 0, "first": 0, "tokens": 6, "targets": 4, "pieces": [
    {"text": "q?", "ids": [113, 63], "target": false},
    {"text": "yes�", "ids": [121, 101, 115, 256], "target": true}]}])"));
  CHECK(place.show({"--json"}).json().at("documents").size() == 3);
  CHECK(place.show({"--json"}).json().at("documents")[0].at("pieces")[0].at("text").is_null());
}

// 8 places hold documents 0 (5) and 2 (1); document 1 takes 8.
TEST_CASE("data show --window has the loader's pieces, padding and valid targets") {
  const ShowPlace place;
  const Outcome o =
      place.show({"--window", "0", "--sequence-length", "8", "--packing", "whole", "--tokenizer", "bytes"});
  CHECK(o.out ==
        "document 0: tokens 0..5, 6 tokens, 4 targets\nq?⟦yes\uFFFD⟧\n"
        "document 2: tokens 15..16, 2 tokens, 1 targets\nb⟦\uFFFD⟧\n"
        "padding: 2 places\n");
  const Json j = place.show({"--window", "1", "--sequence-length", "4", "--separate-documents", "--json"}).json();
  CHECK(j.at("padding") == 0);
  CHECK(j.at("documents")[0].at("first") == 4);
  CHECK(j.at("documents")[0].at("tokens") == 2);  // the next token is another document's
  CHECK(j.at("documents")[1].at("document") == 1);
  const Json stream = place.show({"--window", "1", "--sequence-length", "4", "--json"}).json();
  CHECK(stream.at("documents")[0].at("tokens") == 5);
}

TEST_CASE("data show refuses what is not there") {
  const ShowPlace place;
  place.write("plain.bin", llmq_v2({1, 2, 3}));
  check_refused(place.show({"--document", "3"}), 2, {"--document", "document 3", "the file has 3"});
  check_refused(place.show({"--document", "2:2"}), 2, {"--document", "2:2"});
  check_refused(place.show({"--document", "x"}), 2, {"--document"});
  check_refused(place.show({"--window", "1"}), 2, {"--sequence-length"});
  check_refused(place.show({"--window", "9", "--sequence-length", "4"}), 2, {"--window", "the file has 4"});
  check_refused(place.tandem({"data", "show", "plain.bin"}), 2, {"--document-end", "plain.bin"});
  CHECK(place.tandem({"data", "show", "plain.bin", "--document-end", "2"}).out.find("document 1: tokens 2..2") !=
        std::string::npos);
}

// What a command writes to a terminal of its own.
std::string on_terminal(const ShowPlace& place, const char* term, const char* no_color) {
  int terminal = -1, end = -1;
  REQUIRE(openpty(&terminal, &end, nullptr, nullptr, nullptr) == 0);
  setenv("TERM", term, 1);
  if (no_color != nullptr) setenv("NO_COLOR", no_color, 1);
  Streams streams;
  streams.out = end;
  place.tandem({"data", "show", "a.bin", "--document", "2"}, streams);
  unsetenv("NO_COLOR");
  close(end);
  std::string text;
  char piece[4096];  // one read may bring less than all
  for (ssize_t got; (got = read(terminal, piece, sizeof piece)) > 0;) text.append(piece, size_t(got));
  close(terminal);
  return text;
}

TEST_CASE("data show is green on a terminal, but not with NO_COLOR or TERM=dumb" * doctest::skip(no_terminals())) {
  const ShowPlace place;
  const char* before = std::getenv("TERM");
  const std::string term = before != nullptr ? before : "dumb";
  CHECK(on_terminal(place, "xterm", nullptr).find("\x1b[32m") != std::string::npos);
  CHECK(on_terminal(place, "xterm", "1").find("\x1b[32m") == std::string::npos);
  CHECK(on_terminal(place, "dumb", nullptr).find("⟦") != std::string::npos);
  setenv("TERM", term.c_str(), 1);
}

}  // namespace
}  // namespace tandem::test
