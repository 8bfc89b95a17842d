// JSON, read by strict or patient rules. Errors name the file, the byte offset and the line.
#pragma once

#include <nlohmann/json.hpp>

#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/error.h"

namespace tandem {

using Json = nlohmann::ordered_json;  // keeps the order of keys; looking one up is linear

// What is read beyond what programs agree on.
enum class JsonRules : uint8_t {
  strict,   // nothing: a key twice, an integer beyond 64 bits, a number beyond a double, depth over 100 are errors
  patient,  // what Python's json reads: keys twice stay so, numbers take the nearest double, NaN, Infinity, depth 1000
};

// exit: what a malformed text exits with
Json parse_json(std::string_view text, std::string_view file, Exit exit = Exit::input,
                JsonRules rules = JsonRules::strict);

// text, a JSON object read by patient rules, with keys set to values; all else in it stays as it is spelled.
std::string set_json_keys(std::string_view text, std::string_view file, Exit exit, const Json& values);

// JSON text, indented by two spaces, with a line end. A float that is not finite is a broken invariant, never null.
std::string write_json(const Json& value);

// The value under a key; null where there is none, or the value around it is no object.
const Json& child(const Json& value, const char* key);

// An object read key by key. A missing key and null both read as no value; a value of another type, and a key read
// that stands twice, are errors that name file and key. value and file must outlive it.
class JsonObject {
 public:
  JsonObject(const Json& value, std::string_view file, Exit exit, std::string path = {});

  bool contains(std::string_view key) const;     // also when null
  const Json* find(std::string_view key) const;  // nullptr when missing or null
  void require(std::string_view key) const;      // fails when missing or null

  std::optional<std::string> string(std::string_view key) const;
  std::optional<bool> boolean(std::string_view key) const;
  std::optional<uint64_t> integer(std::string_view key, uint64_t least = 0,
                                  uint64_t most = std::numeric_limits<uint64_t>::max()) const;
  std::optional<double> number(std::string_view key) const;  // finite; an integer is a number
  std::optional<JsonObject> object(std::string_view key) const;
  // the elements of an array
  std::optional<std::vector<std::string>> strings(std::string_view key) const;
  std::optional<std::vector<uint64_t>> integers(std::string_view key) const;

  std::vector<std::string> keys() const;             // in order
  std::string key_path(std::string_view key) const;  // "rope_scaling.factor"
  [[noreturn]] void wrong(std::string_view key, std::string_view expected) const;

 private:
  const Json* entry(std::string_view key) const;
  const Json& elements(std::string_view key, const Json& value) const;

  const Json* value_;
  std::string_view file_;
  Exit exit_;
  std::string path_;
};

}  // namespace tandem
