// Texts of runs and figures of plots, as HTML, JSON and people have them.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace tandem::report {

// Text for HTML: markup, quotes and characters that hide or turn what follows are spelled out; bytes that are not UTF-8
// are U+FFFD.
std::string escaped(std::string_view text);

// Text as a JSON string inside a <script>: ASCII alone, `<` as \u003c.
std::string json_string(std::string_view text);

// A JSON number of six digits; null where it is not finite.
std::string json_number(double value);
std::string json_exact(double value);  // as short as gives the same double back

std::string figure(double value, int digits = 4);  // "0.01234", "12,340"; "-" where it is not finite
std::string whole(double value);                   // "1,234,567"
std::string short_count(double value);             // "1.5M"
std::string duration(double seconds);              // "3 h 12 min", "4.2 s"
std::string bytes_text(double bytes);              // "3.25 GiB"

}  // namespace tandem::report
