#include "core/report/text.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "core/base/utf8.h"

namespace tandem::report {
namespace {

// Characters that set the direction of text, and those that cannot be seen.
bool hides(char32_t c) {
  return (c >= 0x202a && c <= 0x202e) || (c >= 0x2066 && c <= 0x2069) || c == 0x200e || c == 0x200f || c == 0x061c ||
         (c >= 0x80 && c < 0xa0) || c == 0xfeff;
}

// Digits with a comma between thousands.
std::string grouped(const std::string& digits) {
  const size_t point = std::min(digits.find('.'), digits.size());
  std::string out;
  for (size_t i = 0; i < digits.size(); ++i) {
    if (i > 0 && i < point && (point - i) % 3 == 0 && digits[i - 1] != '-') out += ',';
    out += digits[i];
  }
  return out;
}

}  // namespace

std::string escaped(std::string_view text) {
  const std::string valid = valid_utf8(text);
  std::string out;
  for (size_t at = 0; at < valid.size();) {
    const size_t length = utf8_length(valid[at]);
    const char32_t c = code_point(valid.data() + at);
    if (c == '<') out += "&lt;";
    else if (c == '>') out += "&gt;";
    else if (c == '&') out += "&amp;";
    else if (c == '"') out += "&quot;";
    else if (c == '\'') out += "&#39;";
    else if (hides(c) || (c < 0x20 && c != '\n' && c != '\t') || c == 0x7f)
      out += fmt::format("[U+{:04X}]", uint32_t(c));
    else out += valid.substr(at, length);
    at += length;
  }
  return out;
}

std::string json_string(std::string_view text) {
  const std::string valid = valid_utf8(text);
  std::string out = "\"";
  const auto unit = [&](uint32_t u) { out += fmt::format("\\u{:04x}", u); };
  for (size_t at = 0; at < valid.size(); at += utf8_length(valid[at])) {
    const char32_t c = code_point(valid.data() + at);
    if (c >= 0x10000) unit(0xd800 + ((c - 0x10000) >> 10)), unit(0xdc00 + ((c - 0x10000) & 0x3ff));
    else if (c < 0x20 || c >= 0x7f || c == '"' || c == '\\' || c == '<' || c == '>' || c == '&' || c == '/') unit(c);
    else out += char(c);
  }
  return out + "\"";
}

std::string json_number(double value) {
  return std::isfinite(value) ? fmt::format("{:.6g}", value) : "null";
}

std::string json_exact(double value) {
  if (!std::isfinite(value)) return "null";
  return std::abs(value) < 1e15 && value == std::floor(value) ? fmt::format("{:.0f}", value) : fmt::format("{}", value);
}

std::string whole(double value) {
  return std::isfinite(value) ? grouped(fmt::format("{:.0f}", value)) : "-";
}

std::string figure(double value, int digits) {
  if (!std::isfinite(value)) return "-";
  if (value == 0) return "0";
  const int place = int(std::floor(std::log10(std::abs(value))));
  if (place < -4 || place > 14) return fmt::format("{:.{}g}", value, digits);
  return grouped(fmt::format("{:.{}f}", value, std::max(0, digits - 1 - place)));
}

std::string short_count(double value) {
  if (!std::isfinite(value)) return "-";
  constexpr std::string_view kUnits[] = {"", "k", "M", "G", "T"};
  size_t unit = 0;
  while (std::abs(value) >= 1000 && unit + 1 < std::size(kUnits)) value /= 1000, ++unit;
  return fmt::format("{:.4g}{}", value, kUnits[unit]);
}

std::string duration(double seconds) {
  if (!std::isfinite(seconds)) return "-";
  if (seconds < 1) return fmt::format("{:.3g} ms", seconds * 1e3);
  if (seconds < 60) return fmt::format("{:.3g} s", seconds);
  const auto minutes = uint64_t(std::min(seconds, 1e15) / 60);
  if (minutes < 60) return fmt::format("{} min {} s", minutes, uint64_t(seconds) % 60);
  if (minutes < 2880) return fmt::format("{} h {} min", minutes / 60, minutes % 60);
  return fmt::format("{} days {} h", minutes / 1440, minutes / 60 % 24);
}

std::string bytes_text(double bytes) {
  if (bytes < 1024) return fmt::format("{:.0f} B", bytes);
  if (bytes < 1 << 20) return fmt::format("{:.1f} KiB", bytes / 1024);
  if (bytes < 1 << 30) return fmt::format("{:.1f} MiB", bytes / (1 << 20));
  return fmt::format("{:.2f} GiB", bytes / (1 << 30));
}

}  // namespace tandem::report
