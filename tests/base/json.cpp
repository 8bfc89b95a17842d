#include "core/base/json.h"

#include <cmath>
#include <limits>

#include "tests/support/temporary.h"

using namespace tandem;
using test::check_fails;

namespace {

Json patient(std::string_view text) {
  return parse_json(text, "file", Exit::input, JsonRules::patient);
}

}  // namespace

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
  refuse(R"({"a": 1, "a": 2})", {"byte 9", "\"a\" stands twice"});
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

TEST_CASE("json of 100 levels is read, of 1000 by patient rules") {
  CHECK_NOTHROW(parse_json(std::string(100, '[') + std::string(100, ']'), "file"));
  CHECK_NOTHROW(patient(std::string(1000, '[') + std::string(1000, ']')));
  check_fails(Exit::input, {"deeper than 1000"}, [] { patient(std::string(1001, '[')); });
}

TEST_CASE("json strings: escapes, and bytes that are no characters") {
  CHECK(parse_json(R"("\"\\\/\b\f\n\r\t\u0041\u00e9\u20AC\ud83d\ude00")", "file").get<std::string>() ==
        "\"\\/\b\f\n\r\tA\u00e9\u20ac\U0001f600\x7f");
  for (const char* bad : {R"("\ud800")", R"("\ud800\u0041")", R"("\udc00")", R"("\x41")", R"("\u12g4")", R"("\u12)",
                          R"("\)", R"("abc)", "\"\n\"", "\"\xed\xa0\x80\"", "\"\xc0\x80\""}) {
    CAPTURE(bad);
    check_fails(Exit::input, {"not valid JSON"}, [&] { parse_json(bad, "file"); });
    check_fails(Exit::input, {"not valid JSON"}, [&] { patient(bad); });
  }
}

TEST_CASE("json by patient rules reads what Python's json does") {
  const Json value =
      patient(R"({"a": 1, "big": 1000000000000000019884624838656, "a": 2, "x": [NaN, Infinity, -Infinity],
                                 "huge": 1e400, "tiny": -1e-400, "least": -9223372036854775809})");
  CHECK(value.size() == 7);
  CHECK(value["big"] == 1e30);
  CHECK(std::isnan(value["x"][0].get<double>()));
  CHECK(value["x"][1] == std::numeric_limits<double>::infinity());
  CHECK(value["x"][2] == -std::numeric_limits<double>::infinity());
  CHECK(value["huge"] == std::numeric_limits<double>::infinity());
  CHECK(value["tiny"] == 0.0);
  CHECK(value["least"] == -0x1p63);
  for (const char* bad :
       {"-NaN", "nan", "Inf", "+1", "01", "1.", ".5", "1e", "'a'", "[1 2]", "{1: 2}", "{} {}", "True"}) {
    CAPTURE(bad);
    check_fails(Exit::input, {"not valid JSON"}, [&] { patient(bad); });
  }
}

TEST_CASE("json keys that are read stand once and have their type, whatever the rules") {
  const Json value = patient(R"({"a": 1, "a": 2, "o": {"b": null, "b": 1}, "big": 18446744073709551616, "nan": NaN})");
  const JsonObject o(value, "f.json", Exit::input);
  check_fails(Exit::input, {"[f.json]", "key a stands twice"}, [&] { o.integer("a"); });
  check_fails(Exit::input, {"key a stands twice"}, [&] { o.contains("a"); });
  check_fails(Exit::input, {"key o.b stands twice"}, [&] { o.object("o")->find("b"); });
  check_fails(Exit::input, {"key big is 1.8446744073709552e+19", "integer"}, [&] { o.integer("big"); });
  CHECK(o.number("big") == 0x1p64);
  check_fails(Exit::input, {"key nan is nan", "finite number"}, [&] { o.number("nan"); });
}

TEST_CASE("json keys are set in a text that else stays as it is") {
  const auto set = [](std::string_view text, const Json& values) {
    return set_json_keys(text, "f", Exit::input, values);
  };
  CHECK(set("{\"a\": 1e400,\n\"b\" :{\"a\":NaN, \"c\": 1.50}, \"b2\":0 }\n", {{"a", "x"}, {"b2", nullptr}}) ==
        "{\"a\": \"x\",\n\"b\" :{\"a\":NaN, \"c\": 1.50}, \"b2\":null }\n");
  CHECK(set("{\n  \"a\": 1\n}\n", {{"b", 2}, {"a", 3}, {"c", {4}}}) ==
        "{\n  \"a\": 3,\n  \"b\": 2,\n  \"c\": [4]\n}\n");
  CHECK(set("{\"a\": 1}", {{"b", 2}}) == "{\"a\": 1, \"b\": 2}");
  CHECK(set(" {} ", {{"b", 2}}) == " { \"b\": 2} ");
  CHECK(set("{\"a\": 1, \"a\": 2}", {{"a", 3}}) == "{\"a\": 3, \"a\": 3}");
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
