// The results of a command, on standard output.
#pragma once

#include <string_view>

namespace tandem::cli {

// Ignores the signals with which the system would end the process for a failed write, and gives closed standard streams
// a descriptor, so that no file which is opened later takes theirs.
void guard_standard_streams();

// Exit::storage when it cannot be written.
void print(std::string_view text);

}  // namespace tandem::cli
