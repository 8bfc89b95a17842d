#include "core/base/json_parser.h"

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <unordered_set>

#include "core/base/utf8.h"

namespace tandem {
namespace {

// Python's json ends where its own stack does, near 1000; a level here takes under 500 bytes of it.
constexpr size_t kStrictDepth = 100, kPatientDepth = 1000;
constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

bool is_control(char c) {
  return static_cast<unsigned char>(c) < 0x20;
}

class Parser {
 public:
  Parser(std::string_view text, std::string_view file, Exit exit, JsonRules rules)
      : text_(text), file_(file), exit_(exit), patient_(rules == JsonRules::patient) {}

  ParsedJson parse() {
    if (text_.starts_with(kByteOrderMark)) at_ = kByteOrderMark.size();
    ParsedJson parsed;
    skip_space();
    parsed.value = value();
    parsed.end = at_;
    parsed.members = std::move(members_);
    skip_space();
    if (at_ != text_.size()) error(at_, "text after the value");
    return parsed;
  }

 private:
  [[noreturn]] void error(size_t position, std::string_view what) const {
    const auto line = 1 + std::count(text_.begin(), text_.begin() + std::ptrdiff_t(position), '\n');
    fail(exit_, file_, "not valid JSON at byte {} (line {}): {:.300}; correct the file or fetch it again", position,
         line, what);
  }

  char peek() const { return at_ < text_.size() ? text_[at_] : '\0'; }

  void skip_space() {
    while (at_ < text_.size() && (text_[at_] == ' ' || text_[at_] == '\n' || text_[at_] == '\r' || text_[at_] == '\t'))
      ++at_;
  }

  bool take(std::string_view word) {
    if (!text_.substr(at_).starts_with(word)) return false;
    at_ += word.size();
    return true;
  }

  void expect(char c) {
    if (peek() != c || at_ == text_.size())
      error(at_, at_ == text_.size() ? "the text ends early" : fmt::format("'{}' was expected", c));
    ++at_;
  }

  Json value() {
    switch (peek()) {
      case '{':
        return object();
      case '[':
        return array();
      case '"':
        return string();
      default:
        break;
    }
    if (take("null")) return nullptr;
    if (take("true")) return true;
    if (take("false")) return false;
    if (peek() == '-' || is_digit(peek()) || peek() == 'N' || peek() == 'I') return number();
    error(at_, at_ == text_.size() ? "the text ends early" : "a value was expected");
  }

  void enter() {
    const size_t most = patient_ ? kPatientDepth : kStrictDepth;
    if (++depth_ > most) error(at_, fmt::format("nested deeper than {}", most));
    ++at_;
    skip_space();
  }

  // True behind a comma; false behind the container's end.
  bool more(char end) {
    skip_space();
    if (peek() == ',') {
      ++at_;
      skip_space();
      return true;
    }
    expect(end);
    --depth_;
    return false;
  }

  Json array() {
    enter();
    Json list = Json::array();
    if (peek() == ']') {
      more(']');
      return list;
    }
    do list.push_back(value());
    while (more(']'));
    return list;
  }

  Json object() {
    enter();
    Json result = Json::object();
    if (peek() == '}') {
      more('}');
      return result;
    }
    // the object's vector is used directly, for its own insertion is linear
    Json::object_t::Container& entries = result.get_ref<Json::object_t&>();
    std::unordered_set<std::string> keys;
    do {
      const size_t begin = at_;
      std::string key = string();
      if (!patient_ && !keys.insert(key).second) error(begin, fmt::format("key \"{:.100}\" stands twice", key));
      skip_space();
      expect(':');
      skip_space();
      const size_t value_begin = at_;
      Json entry = value();
      if (depth_ == 1) members_.push_back({key, value_begin, at_});
      entries.emplace_back(std::move(key), std::move(entry));
    } while (more('}'));
    return result;
  }

  std::string string() {
    expect('"');
    std::string out;
    while (true) {
      const size_t plain = at_;
      while (at_ < text_.size() && text_[at_] != '"' && text_[at_] != '\\' && !is_control(text_[at_])) ++at_;
      const std::string_view run = text_.substr(plain, at_ - plain);
      if (!is_utf8(run)) error(plain + valid_utf8_length(run), "bytes that are not UTF-8");
      out += run;
      if (at_ == text_.size()) error(at_, "a string without an end");
      if (text_[at_] == '"') break;
      if (is_control(text_[at_])) error(at_, "a control character in a string, where an escape was expected");
      escape(out);
    }
    ++at_;
    return out;
  }

  void escape(std::string& out) {
    constexpr std::string_view names = "\"\\/bfnrt", meanings = "\"\\/\b\f\n\r\t";
    const size_t begin = at_++;
    if (const size_t i = at_ == text_.size() ? names.npos : names.find(text_[at_]); i != names.npos) {
      out += meanings[i];
      ++at_;
      return;
    }
    uint32_t code = code_unit(begin);
    if (code >= 0xd800 && code < 0xdc00 && text_.substr(at_).starts_with("\\u")) {
      ++at_;
      const uint32_t low = code_unit(begin);
      if (low < 0xdc00 || low > 0xdfff) error(begin, "half of a surrogate pair");
      code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
    }
    if (code >= 0xd800 && code <= 0xdfff) error(begin, "half of a surrogate pair");
    append_utf8(out, code);
  }

  // The four hexadecimal digits of "\uXXXX", at its u.
  uint32_t code_unit(size_t begin) {
    uint32_t code = 0;
    const char* const first = text_.data() + std::min(at_ + 1, text_.size());
    const char* const last = std::min(first + 4, text_.data() + text_.size());
    if (peek() != 'u' || last - first < 4 || std::from_chars(first, last, code, 16).ptr != last)
      error(begin, "an escape that JSON does not have");
    at_ += 5;
    return code;
  }

  Json number() {
    const size_t begin = at_;
    take("-");
    if (take("Infinity")) return constant(begin, std::numeric_limits<double>::infinity());
    if (take("NaN")) return constant(begin, std::numeric_limits<double>::quiet_NaN());
    if (!take("0")) digits();
    bool whole = true;
    if (take(".")) {
      whole = false;
      digits();
    }
    if (take("e") || take("E")) {
      whole = false;
      if (!take("+")) take("-");
      digits();
    }
    const std::string_view spelled = text_.substr(begin, at_ - begin);
    return whole ? integer(begin, spelled) : floating(begin, spelled);
  }

  void digits() {
    if (!is_digit(peek())) error(at_, "a digit was expected");
    while (is_digit(peek())) ++at_;
  }

  Json constant(size_t begin, double value) const {
    const bool negative = text_[begin] == '-';
    if (!patient_ || (negative && value != value)) error(begin, "NaN and Infinity are no JSON");
    return negative ? -value : value;
  }

  Json integer(size_t begin, std::string_view spelled) const {
    const char* const last = spelled.data() + spelled.size();
    const auto parsed = [&](auto value) -> std::optional<Json> {
      if (std::from_chars(spelled.data(), last, value).ec != std::errc{}) return {};
      return Json(value);
    };
    if (const auto value = spelled[0] == '-' ? parsed(int64_t{}) : parsed(uint64_t{})) return *value;
    if (!patient_) error(begin, fmt::format("integer {:.60} does not fit in 64 bits", spelled));
    return floating(begin, spelled);
  }

  Json floating(size_t begin, std::string_view spelled) const {
    double value = 0;
    if (std::from_chars(spelled.data(), spelled.data() + spelled.size(), value).ec != std::errc{}) {
      value = std::strtod(std::string(spelled).c_str(), nullptr);  // beyond a double: infinite, or 0
      if (!patient_ && value != 0) error(begin, fmt::format("number {:.60} does not fit in a double", spelled));
    }
    return value;
  }

  std::string_view text_, file_;
  Exit exit_;
  bool patient_;
  size_t at_ = 0, depth_ = 0;
  std::vector<JsonMember> members_;
};

}  // namespace

ParsedJson parse_json_members(std::string_view text, std::string_view file, Exit exit, JsonRules rules) {
  return Parser(text, file, exit, rules).parse();
}

}  // namespace tandem
