#include "core/base/json.h"

#include <limits>

#include "tests/support/temporary.h"

using namespace tandem;
using test::check_fails;

TEST_CASE("json keeps values and the order of keys") {
  const Json value = parse_json(R"({"z": 1, "a": [true, null, -3, 1.5], "m": {"k": "é\n"}})", "file");
  CHECK(value.dump() == "{\"z\":1,\"a\":[true,null,-3,1.5],\"m\":{\"k\":\"é\\n\"}}");
  CHECK(parse_json("18446744073709551615", "file").get<uint64_t>() == 18446744073709551615u);
  CHECK(write_json(Json::array({1, 2})) == "[\n  1,\n  2\n]\n");
}

TEST_CASE("json that is not strict is refused with its place") {
  const auto refuse = [](std::string_view text, std::initializer_list<std::string> words) {
    check_fails(Exit::input, {"[some.json]"}, [&] { parse_json(text, "some.json"); });
    check_fails(Exit::input, words, [&] { parse_json(text, "some.json"); });
  };
  refuse(R"({"a": 1, "a": 2})", {"byte 12", "\"a\" stands twice"});
  refuse("{\"b\": {\n\"a\": 1,\n \"a\": 2}}", {"line 3", "stands twice"});
  refuse("{} x", {"byte 3"});
  refuse("[1, NaN]", {"byte 4"});
  refuse("[Infinity]", {"byte 1"});
  refuse("[1e999]", {"not valid JSON"});
  refuse("[18446744073709551616]", {"byte 1 ", "18446744073709551616", "64 bits"});
  refuse("[1, -9223372036854775809]", {"byte 4 ", "64 bits"});
  refuse("", {"byte 0"});
  refuse("[1,]", {"byte 3"});
  refuse("\"\xff\"", {"byte 1"});
  refuse(std::string(101, '['), {"deeper than 100"});
  refuse(std::string_view("{}\n\0{}", 6), {"byte 3 (line 2)"});
  check_fails(Exit::configuration, {"some.json"}, [] { parse_json("{", "some.json", Exit::configuration); });
}

TEST_CASE("json of 100 levels is read") {
  CHECK_NOTHROW(parse_json(std::string(100, '[') + std::string(100, ']'), "file"));
}

TEST_CASE("json objects are read by key and type") {
  const Json value = parse_json(
      R"({"s": "x", "i": 7, "n": -1, "f": 0.5, "b": true, "nothing": null, "o": {"k": "v"}, "l": [1, 2], "t": ["a"]})",
      "f.json");
  const JsonObject o(value, "f.json", Exit::input);
  CHECK(o.string("s") == "x");
  CHECK(o.integer("i") == 7);
  CHECK(o.number("f") == 0.5);
  CHECK(o.number("i") == 7.0);
  CHECK(o.boolean("b") == true);
  CHECK(o.integers("l") == std::vector<uint64_t>{1, 2});
  CHECK(o.strings("t") == std::vector<std::string>{"a"});
  CHECK(o.object("o")->string("k") == "v");
  CHECK(!o.string("nothing"));
  CHECK(!o.string("absent"));
  CHECK(o.contains("nothing"));
  CHECK(!o.contains("absent"));
  CHECK(o.keys().front() == "s");

  const auto refuse = [&](const std::string& key, auto read) { check_fails(Exit::input, {"[f.json]", key}, read); };
  refuse("key s", [&] { o.integer("s"); });
  refuse("key f is 0.5", [&] { o.integer("f"); });
  refuse("key n is -1", [&] { o.integer("n"); });
  refuse("from 8 to 9", [&] { o.integer("i", 8, 9); });
  refuse("key b", [&] { o.integer("b"); });
  refuse("key i", [&] { o.string("i"); });
  refuse("key i", [&] { o.boolean("i"); });
  refuse("key b", [&] { o.number("b"); });
  refuse("key t", [&] { o.integers("t"); });
  refuse("key l", [&] { o.strings("l"); });
  refuse("l is array", [&] { o.object("l"); });
  refuse("key o.k", [&] { o.object("o")->number("k"); });
  refuse("key nothing is missing", [&] { o.require("nothing"); });
  check_fails(Exit::input, {"object was expected"}, [] {
    const Json list = Json::array();
    JsonObject(list, "f.json", Exit::input);
  });
}

TEST_CASE("json writing never turns NaN into null") {
  check_fails(Exit::internal, {"NaN"}, [] { write_json({{"x", std::numeric_limits<double>::quiet_NaN()}}); });
}
