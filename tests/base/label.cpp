#include "core/base/label.h"

#include <doctest/doctest.h>

#include <map>

using namespace tandem;

TEST_CASE("label: reads as the text it was made of, its copies too") {
  const Label none, empty(""), label("layers.3.qkv");
  const Label copy = label;
  CHECK(none.empty());
  CHECK(empty == none);
  CHECK(none.text().empty());
  CHECK(&copy.text() == &label.text());  // one text
  CHECK(label == Label(std::string("layers.3.qkv")));
  CHECK(fmt::format("{:>14}", copy) == "  layers.3.qkv");
  std::map<std::string, int> by_text;
  ++by_text[copy];
  CHECK(by_text.contains("layers.3.qkv"));
}
