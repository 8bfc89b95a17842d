#include "core/base/size.h"

#include <charconv>
#include <cmath>
#include <utility>

#include "core/base/error.h"

namespace tandem {

uint64_t parse_size(std::string_view text, std::string_view where) {
  static constexpr std::pair<std::string_view, double> kUnits[] = {
      {"", 1}, {"KiB", 0x1p10}, {"MiB", 0x1p20}, {"GiB", 0x1p30}, {"GB", 1e9}};
  double number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number, std::chars_format::fixed);
  std::string_view unit = text.substr(size_t(end - text.data()));
  if (unit.starts_with(' ')) unit.remove_prefix(1);
  for (const auto& [name, bytes] : kUnits) {
    const double size = number * bytes;
    if (bytes == 1 && number != std::floor(number)) continue;
    if (error == std::errc() && unit == name && size >= 1 && size < 0x1p63) return uint64_t(size);
  }
  fail(Exit::configuration, where, "\"{}\" is not a size, expected bytes, or a number with KiB, MiB, GiB or GB", text);
}

std::string size_text(uint64_t bytes) {
  if (bytes >= 1 << 30) return fmt::format("{:.2f} GiB", double(bytes) / (1 << 30));
  return fmt::format("{:.2f} MiB", double(bytes) / (1 << 20));
}

}  // namespace tandem
