#include "core/base/system_memory.h"

#include <fstream>
#include <string>

#include "core/base/error.h"

namespace tandem {

namespace {

// The figure of a line of /proc/meminfo, in bytes.
uint64_t memory_line(std::string_view name) {
  std::ifstream file("/proc/meminfo");
  std::string word;
  uint64_t kib = 0;
  while (file >> word)
    if (word.ends_with(':') && word.substr(0, word.size() - 1) == name && file >> kib) return kib * 1024;
  fail(Exit::device, "/proc/meminfo", "has no line {}, by which the host's memory is known", name);
}

}  // namespace

uint64_t available_system_memory() {
  return memory_line("MemAvailable");
}

uint64_t system_memory() {
  return memory_line("MemTotal");
}

uint64_t plannable_system_memory() {
  return available_system_memory() / 10 * 9;
}

}  // namespace tandem
