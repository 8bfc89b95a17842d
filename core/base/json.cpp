#include "core/base/json.h"

#include <algorithm>
#include <cmath>
#include <iterator>
#include <unordered_set>

namespace tandem {
namespace {

constexpr size_t kMaxDepth = 100;

// Reads the text and says how far it has come, which nlohmann's SAX events do not.
struct CountingIterator {
  using iterator_category = std::input_iterator_tag;
  using value_type = char;
  using difference_type = std::ptrdiff_t;
  using pointer = const char*;
  using reference = const char&;

  const char* at = nullptr;
  const char** furthest = nullptr;

  reference operator*() const { return *at; }
  CountingIterator& operator++() {
    *furthest = ++at;
    return *this;
  }
  CountingIterator operator++(int) {
    const CountingIterator before = *this;
    ++*this;
    return before;
  }
  bool operator==(const CountingIterator& other) const { return at == other.at; }
};

class Builder {
 public:
  Builder(std::string_view text, std::string_view file, Exit exit)
      : text_(text), file_(file), exit_(exit), furthest_(text.data()) {}

  Json parse() {
    // bool: false after parse_error, which throws
    Json::sax_parse(CountingIterator{text_.data(), &furthest_},
                    CountingIterator{text_.data() + text_.size(), &furthest_}, this);
    // nlohmann's lexer takes a NUL for the end of the text
    if (const size_t nul = text_.find('\0'); nul != text_.npos) error(nul, "a NUL character");
    return std::move(root_);
  }

  bool null() { return add(nullptr); }
  bool boolean(bool value) { return add(value); }
  bool number_integer(Json::number_integer_t value) { return add(value); }
  bool number_unsigned(Json::number_unsigned_t value) { return add(value); }
  bool number_float(Json::number_float_t value, const std::string& digits) {
    if (digits.find_first_of(".eE") == std::string::npos)
      error(text_.substr(0, consumed()).rfind(digits), fmt::format("integer {:.60} does not fit in 64 bits", digits));
    return add(value);
  }
  bool string(std::string& value) { return add(std::move(value)); }
  bool binary(Json::binary_t&) { return false; }
  bool start_object(size_t) {
    keys_.emplace_back();
    return open(Json::object());
  }
  bool key(std::string& value) {
    if (!keys_.back().insert(value).second) error(consumed(), fmt::format("key \"{:.100}\" stands twice", value));
    key_ = std::move(value);
    return true;
  }
  bool end_object() {
    keys_.pop_back();
    return close();
  }
  bool start_array(size_t) { return open(Json::array()); }
  bool end_array() { return close(); }
  bool parse_error(size_t position, const std::string&, const nlohmann::detail::exception& e) {
    const std::string_view what = e.what();
    const size_t detail = what.find(": ");
    error(position == 0 ? 0 : position - 1, detail == what.npos ? what : what.substr(detail + 2));
  }

 private:
  size_t consumed() const { return size_t(furthest_ - text_.data()); }

  [[noreturn]] void error(size_t position, std::string_view what) const {
    position = std::min(position, text_.size());
    const auto line = 1 + std::count(text_.begin(), text_.begin() + std::ptrdiff_t(position), '\n');
    fail(exit_, file_, "not valid JSON at byte {} (line {}): {:.300}; correct the file or fetch it again", position,
         line, what);
  }

  // appends to the open container; an object's vector is used directly, for its own insertion is linear
  template <typename T>
  Json* place(T&& value) {
    if (open_.empty()) {
      root_ = Json(std::forward<T>(value));
      return &root_;
    }
    if (open_.back()->is_array()) return &open_.back()->emplace_back(std::forward<T>(value));
    auto& object = open_.back()->get_ref<Json::object_t&>();
    using Container = Json::object_t::Container;
    return &static_cast<Container&>(object).emplace_back(std::move(key_), Json(std::forward<T>(value))).second;
  }
  template <typename T>
  bool add(T&& value) {
    place(std::forward<T>(value));
    return true;
  }
  bool open(Json container) {
    if (open_.size() == kMaxDepth) error(consumed(), fmt::format("nested deeper than {}", kMaxDepth));
    open_.push_back(place(std::move(container)));
    return true;
  }
  bool close() {
    open_.pop_back();
    return true;
  }

  std::string_view text_, file_;
  Exit exit_;
  const char* furthest_;
  Json root_;
  std::vector<Json*> open_;
  std::vector<std::unordered_set<std::string>> keys_;  // of the open objects
  std::string key_;
};

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

Json parse_json(std::string_view text, std::string_view file, Exit exit) {
  return Builder(text, file, exit).parse();
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

bool JsonObject::contains(std::string_view key) const {
  return value_->find(std::string(key)) != value_->end();
}

const Json* JsonObject::find(std::string_view key) const {
  const auto at = value_->find(std::string(key));
  return at == value_->end() || at->is_null() ? nullptr : &*at;
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
  if (!value->is_number()) wrong(key, "a number");
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
  const std::string text = !value ? "null" : value->is_structured() ? value->type_name() : value->dump();
  fail(exit_, file_, "key {} is {:.100}, {} was expected", key_path(key), text, expected);
}

}  // namespace tandem
