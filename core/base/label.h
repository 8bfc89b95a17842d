// A name for people that many nodes and instructions share: a copy is as cheap as a pointer.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include <fmt/format.h>

namespace tandem {

class Label {
 public:
  Label() = default;
  Label(std::string text) : text_(text.empty() ? nullptr : std::make_shared<const std::string>(std::move(text))) {}
  Label(const char* text) : Label(std::string(text)) {}

  const std::string& text() const;
  operator const std::string&() const { return text(); }
  operator std::string_view() const { return text(); }
  bool empty() const { return text_ == nullptr; }
  bool operator==(const Label& other) const { return text() == other.text(); }

 private:
  std::shared_ptr<const std::string> text_;  // null: empty
};

inline const std::string& Label::text() const {
  static const std::string kNone;
  return text_ ? *text_ : kNone;
}

}  // namespace tandem

template <>
struct fmt::formatter<tandem::Label> : fmt::formatter<std::string> {
  auto format(const tandem::Label& l, format_context& c) const { return formatter<std::string>::format(l.text(), c); }
};
