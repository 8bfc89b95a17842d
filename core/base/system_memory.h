// The host's memory.
#pragma once

#include <cstdint>

namespace tandem {

// Bytes; MemAvailable of /proc/meminfo. Exit::device when it has no such line.
uint64_t available_system_memory();

uint64_t system_memory();  // All of the machine's: MemTotal.

// The part of them that a plan may take, the rest of the system being left some.
uint64_t plannable_system_memory();

}  // namespace tandem
