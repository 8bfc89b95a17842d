// Text for people, on standard error.
#pragma once

#include <string>
#include <string_view>

namespace tandem {

// Writes it as it is. That nobody reads it any more (a closed pipe, a full disk) is no reason to end a run.
void write_message(std::string_view text);

// A line that begins with "tandem: warning: ".
void warn(const std::string& text);

}  // namespace tandem
