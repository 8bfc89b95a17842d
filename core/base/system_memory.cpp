#include "core/base/system_memory.h"

#include <fstream>
#include <string>

#include "core/base/error.h"

namespace tandem {

uint64_t available_system_memory() {
  std::ifstream file("/proc/meminfo");
  std::string word;
  uint64_t kib = 0;
  while (file >> word)
    if (word == "MemAvailable:" && file >> kib) return kib * 1024;
  fail(Exit::device, "/proc/meminfo", "has no line MemAvailable, by which the host's memory is known");
}

uint64_t plannable_system_memory() {
  return available_system_memory() / 10 * 9;
}

}  // namespace tandem
