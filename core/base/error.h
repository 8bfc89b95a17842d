// The one exception type, the exit codes of the `tandem` command, and the always-on invariant check.
#pragma once

#include <fmt/format.h>

#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>

namespace tandem {

// What the process exits with; the list of docs/formats.md.
enum class Exit : int {
  ok = 0,
  internal = 1,       // a defect of Tandem, or a difference found by verify
  configuration = 2,  // a flag, a config file, a model's config.json
  input = 3,          // a bad input file
  does_not_fit = 4,   // more memory than there is
  diverged = 5,       // too many steps in a row with a loss or norm that is not finite
  device = 6,         // no device, a lost device, failed communication
  storage = 7,        // a write that failed
  interrupted = 75,   // stopped by a signal after saving
};

// Thrown while building, compiling, loading and waiting. what() reads "[where] what is wrong, what was expected, what
// to do".
class Error : public std::runtime_error {
 public:
  Error(Exit exit, const std::string& message) : std::runtime_error(message), exit_(exit) {}
  Exit exit() const { return exit_; }

 private:
  Exit exit_;
};

// where: a file, a config key or a part of the system. The rest is a fmt format and its arguments.
template <typename... Args>
[[noreturn]] void fail(Exit exit, std::string_view where, fmt::format_string<Args...> format, Args&&... args) {
  throw Error(exit, fmt::format("[{}] {}", where, fmt::format(format, std::forward<Args>(args)...)));
}

[[noreturn]] void check_failed(const char* condition, const char* file, int line, const std::string& message);

}  // namespace tandem

// An invariant of our own code, checked in release builds too; bad input uses fail().
#define TANDEM_CHECK(condition, ...)                                                                    \
  do {                                                                                                  \
    if (!(condition)) ::tandem::check_failed(#condition, __FILE__, __LINE__, fmt::format(__VA_ARGS__)); \
  } while (false)
