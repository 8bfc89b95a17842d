// Text for people, on standard error.
#pragma once

#include <string>
#include <string_view>

namespace tandem {

// Writes it as it is. That nobody reads it any more (a closed pipe, a full disk) is no reason to end a run.
void write_message(std::string_view text);

// A line that begins with "tandem: warning: ".
void warn(const std::string& text);

// The same for what ended the process: never kept quiet.
void write_error(std::string_view text);

// From here on this thread writes no messages and warnings: of a run's ranks one speaks.
void keep_quiet();

}  // namespace tandem
