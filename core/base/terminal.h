// What a terminal can show.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace tandem {

struct TerminalSize {
  size_t columns = 80, rows = 24;  // where it does not tell
};
TerminalSize terminal_size(int descriptor);

// True for a terminal that moves its cursor when told to: TERM is set and is not "dumb".
bool moves_cursor(int descriptor);

// text in at most so many columns, with characters that a terminal would obey made visible.
std::string fitted(std::string_view text, size_t columns);

}  // namespace tandem
