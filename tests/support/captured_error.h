// What is written to standard error while it lives.
#pragma once

#include <fcntl.h>
#include <unistd.h>

#include "tests/support/temporary.h"

namespace tandem::test {

class CapturedError {
 public:
  CapturedError() : before_(::dup(STDERR_FILENO)) {
    const int file = ::open((directory_ / "error").c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    TANDEM_CHECK(before_ >= 0 && file >= 0 && ::dup2(file, STDERR_FILENO) >= 0, "standard error cannot be captured");
    ::close(file);
  }
  ~CapturedError() {
    ::dup2(before_, STDERR_FILENO);
    ::close(before_);
  }
  CapturedError(const CapturedError&) = delete;
  CapturedError& operator=(const CapturedError&) = delete;

  std::string text() const { return read_text(directory_ / "error"); }

 private:
  TemporaryDirectory directory_;
  int before_;
};

}  // namespace tandem::test
