// The results of a command, on standard output, and what the system does to a process by signals.
#pragma once

#include <string_view>

namespace tandem::cli {

// Ignores the signals with which the system would end the process for a failed write, and gives closed standard streams
// a descriptor, so that no file which is opened later takes theirs.
void guard_standard_streams();

// Files are read through maps: one that is cut short meanwhile, or whose disk fails, ends the process with SIGBUS. This
// makes it Exit::input with a message.
void guard_mapped_files();

// Exit::storage when it cannot be written.
void print(std::string_view text);

}  // namespace tandem::cli
