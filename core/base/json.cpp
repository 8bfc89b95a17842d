#include "core/base/json.h"

#include <algorithm>
#include <cmath>

#include "core/base/json_parser.h"

namespace tandem {
namespace {

bool all_finite(const Json& value) {
  if (value.is_number_float()) return std::isfinite(value.get<double>());
  return !value.is_structured() || std::all_of(value.begin(), value.end(), all_finite);
}

// an unsigned value, from either of nlohmann's integer types
std::optional<uint64_t> unsigned_value(const Json& value) {
  if (value.is_number_unsigned()) return value.get<uint64_t>();
  if (value.is_number_integer() && value.get<int64_t>() >= 0) return uint64_t(value.get<int64_t>());
  return {};
}

}  // namespace

Json parse_json(std::string_view text, std::string_view file, Exit exit, JsonRules rules) {
  return parse_json_members(text, file, exit, rules).value;
}

std::string set_json_keys(std::string_view text, std::string_view file, Exit exit, const Json& values) {
  const ParsedJson parsed = parse_json_members(text, file, exit, JsonRules::patient);
  std::string out;
  size_t copied = 0;
  for (const JsonMember& member : parsed.members) {
    const auto value = values.find(member.key);
    if (value == values.end()) continue;
    out.append(text, copied, member.begin - copied).append(value->dump());
    copied = member.end;
  }
  // others follow the last member, or where the first would stand: before the closing brace
  const size_t last = parsed.members.empty() ? parsed.end - 1 : parsed.members.back().end;
  out.append(text, copied, last - copied);
  const std::string_view gap = text.find('\n') == text.npos ? " " : "\n  ";
  std::string_view comma = parsed.members.empty() ? "" : ",";
  for (const auto& [key, value] : values.items()) {
    if (parsed.value.contains(key)) continue;
    out.append(comma).append(gap).append(Json(key).dump()).append(": ").append(value.dump());
    comma = ",";
  }
  return out.append(text.substr(last));
}

const Json& child(const Json& value, const char* key) {
  static const Json nothing;
  const auto at = value.is_object() ? value.find(key) : value.end();
  return at == value.end() ? nothing : *at;
}

std::string write_json(const Json& value) {
  TANDEM_CHECK(all_finite(value), "JSON has no NaN and no infinity");
  return value.dump(2) + "\n";
}

JsonObject::JsonObject(const Json& value, std::string_view file, Exit exit, std::string path)
    : value_(&value), file_(file), exit_(exit), path_(std::move(path)) {
  if (!value.is_object())
    fail(exit, file, "{} is {}, an object was expected", path_.empty() ? "the whole text" : path_, value.type_name());
}

// The value under a key, also when null; fails where the key stands twice.
const Json* JsonObject::entry(std::string_view key) const {
  const Json* found = nullptr;
  for (const auto& [name, value] : value_->get_ref<const Json::object_t&>()) {
    if (name != key) continue;
    if (found) fail(exit_, file_, "key {} stands twice; remove one", key_path(key));
    found = &value;
  }
  return found;
}

bool JsonObject::contains(std::string_view key) const {
  return entry(key) != nullptr;
}

const Json* JsonObject::find(std::string_view key) const {
  const Json* value = entry(key);
  return value && !value->is_null() ? value : nullptr;
}

void JsonObject::require(std::string_view key) const {
  if (!find(key)) fail(exit_, file_, "key {} is missing", key_path(key));
}

std::optional<std::string> JsonObject::string(std::string_view key) const {
  const Json* value = find(key);
  if (!value) return {};
  if (!value->is_string()) wrong(key, "a string");
  return value->get<std::string>();
}

std::optional<bool> JsonObject::boolean(std::string_view key) const {
  const Json* value = find(key);
  if (!value) return {};
  if (!value->is_boolean()) wrong(key, "true or false");
  return value->get<bool>();
}

std::optional<uint64_t> JsonObject::integer(std::string_view key, uint64_t least, uint64_t most) const {
  const Json* value = find(key);
  if (!value) return {};
  const std::optional<uint64_t> number = unsigned_value(*value);
  if (!number || *number < least || *number > most) wrong(key, fmt::format("an integer from {} to {}", least, most));
  return number;
}

std::optional<double> JsonObject::number(std::string_view key) const {
  const Json* value = find(key);
  if (!value) return {};
  if (!value->is_number() || !all_finite(*value)) wrong(key, "a finite number");
  return value->get<double>();
}

std::optional<JsonObject> JsonObject::object(std::string_view key) const {
  const Json* value = find(key);
  if (!value) return {};
  return JsonObject(*value, file_, exit_, key_path(key));
}

const Json& JsonObject::elements(std::string_view key, const Json& value) const {
  if (!value.is_array()) wrong(key, "a list");
  return value;
}

std::optional<std::vector<std::string>> JsonObject::strings(std::string_view key) const {
  const Json* value = find(key);
  if (!value) return {};
  std::vector<std::string> list;
  for (const Json& element : elements(key, *value)) {
    if (!element.is_string()) wrong(key, "a list of strings");
    list.push_back(element.get<std::string>());
  }
  return list;
}

std::optional<std::vector<uint64_t>> JsonObject::integers(std::string_view key) const {
  const Json* value = find(key);
  if (!value) return {};
  std::vector<uint64_t> list;
  for (const Json& element : elements(key, *value)) {
    const std::optional<uint64_t> number = unsigned_value(element);
    if (!number) wrong(key, "a list of integers from 0");
    list.push_back(*number);
  }
  return list;
}

std::vector<std::string> JsonObject::keys() const {
  std::vector<std::string> list;
  for (const auto& item : value_->items()) list.push_back(item.key());
  return list;
}

std::string JsonObject::key_path(std::string_view key) const {
  return path_.empty() ? std::string(key) : fmt::format("{}.{}", path_, key);
}

void JsonObject::wrong(std::string_view key, std::string_view expected) const {
  const Json* value = find(key);
  const std::string text = !value                   ? "null"
                           : value->is_structured() ? value->type_name()
                           : all_finite(*value)     ? value->dump()
                                                    : fmt::format("{}", value->get<double>());
  fail(exit_, file_, "key {} is {:.100}, {} was expected", key_path(key), text, expected);
}

}  // namespace tandem
