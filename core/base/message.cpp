#include "core/base/message.h"

#include <fmt/core.h>
#include <unistd.h>

#include <cerrno>

namespace tandem {

namespace {

thread_local bool quiet = false;

}  // namespace

void keep_quiet() {
  quiet = true;
}

void write_message(std::string_view text) {
  if (!quiet) write_error(text);
}

void write_error(std::string_view text) {
  while (!text.empty()) {
    const ssize_t written = ::write(STDERR_FILENO, text.data(), text.size());
    if (written < 0 && errno != EINTR) return;
    if (written > 0) text.remove_prefix(size_t(written));
  }
}

void warn(const std::string& text) {
  write_message(fmt::format("tandem: warning: {}\n", text));
}

}  // namespace tandem
