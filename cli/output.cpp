#include "cli/output.h"

#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "core/base/error.h"
#include "core/base/message.h"

namespace tandem::cli {

void guard_standard_streams() {
  ::signal(SIGPIPE, SIG_IGN);
  ::signal(SIGXFSZ, SIG_IGN);
  int descriptor = ::open("/dev/null", O_RDONLY);  // a write to it fails, as one to the closed stream would
  while (descriptor >= 0 && descriptor <= STDERR_FILENO) descriptor = ::dup(descriptor);
  if (descriptor >= 0) ::close(descriptor);
}

void guard_mapped_files() {
  ::signal(SIGBUS, [](int) {
    write_message(
        "tandem: [input] a file that is being read (data, weights or a checkpoint) was cut short, or its disk failed; "
        "restore it, then go on with --resume\n");
    ::_exit(int(Exit::input));
  });
}

void print(std::string_view text) {
  while (!text.empty()) {
    const ssize_t written = ::write(STDOUT_FILENO, text.data(), text.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) fail(Exit::storage, "standard output", "the result cannot be written: {}", std::strerror(errno));
    text.remove_prefix(size_t(written));
  }
}

}  // namespace tandem::cli
