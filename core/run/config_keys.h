// The table of configuration keys: one row reads, checks and writes one key. Used by config.cpp only.
#pragma once

#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "core/run/config.h"

namespace tandem {

// A TOML value. monostate: of a kind that no key takes (a table, a date, an array that holds more than strings).
using ConfigValue =
    std::variant<std::monostate, bool, int64_t, double, std::string, std::vector<std::string>, std::vector<double>>;

struct ConfigKey {
  std::string name;  // "section.key"
  bool required = false;
  // Takes the value over. Returns what was expected if the value is of a wrong type or out of range, else nothing.
  std::function<std::string(RunConfig&, const ConfigValue&)> read;
  std::function<std::string(const RunConfig&)> write;  // as a TOML value
};

// All keys, in the order of config.toml.
std::span<const ConfigKey> config_keys();

// A string as a TOML basic string, and a value as TOML, for files and messages.
std::string toml_quoted(std::string_view text);
std::string toml_text(const ConfigValue& value);

}  // namespace tandem
