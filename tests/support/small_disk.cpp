#include "tests/support/small_disk.h"

#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

namespace tandem::test {
namespace {

constexpr size_t kLongest = 200;  // options

bool write_text(const char* path, const std::string& text) {
  const int file = ::open(path, O_WRONLY | O_CLOEXEC);
  const bool written = file >= 0 && ::write(file, text.data(), text.size()) == ssize_t(text.size());
  return file >= 0 && ::close(file) == 0 && written;
}

// a mount namespace, as root of a user namespace where that is needed
bool enter_namespace() {
  const uid_t user = ::geteuid();
  const gid_t group = ::getegid();
  if (::unshare(CLONE_NEWNS) == 0) return true;
  return ::unshare(CLONE_NEWUSER | CLONE_NEWNS) == 0 && write_text("/proc/self/setgroups", "deny") &&
         write_text("/proc/self/uid_map", fmt::format("0 {} 1", user)) &&
         write_text("/proc/self/gid_map", fmt::format("0 {} 1", group));
}

// mounts, then mounts anew with each options that come; answers with errno, or 0
[[noreturn]] void keep(const std::string& place, int in, int out) {
  int error = enter_namespace() && ::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0 ? 0 : errno;
  unsigned long flags = 0;
  char options[kLongest + 1];
  for (ssize_t got; (got = ::read(in, options, kLongest)) > 0; flags = MS_REMOUNT) {
    options[got] = 0;
    if (error == 0 && ::mount("tmpfs", place.c_str(), "tmpfs", flags, options) != 0) error = errno;
    if (::write(out, &error, sizeof error) != sizeof error) break;
  }
  ::_exit(0);
}

}  // namespace

SmallDisk::SmallDisk(const std::string& options) {
  TANDEM_CHECK(::pipe2(to_, O_CLOEXEC) == 0 && ::pipe2(from_, O_CLOEXEC) == 0, "no pipe");
  keeper_ = ::fork();
  TANDEM_CHECK(keeper_ >= 0, "no process");
  if (keeper_ == 0) {
    ::close(to_[1]);  // so that the end of the test ends it
    keep(place_.path(), to_[0], from_[1]);
  }
  ::close(to_[0]);
  ::close(from_[1]);
  resize(options);
}

SmallDisk::~SmallDisk() {
  ::close(to_[1]);
  ::close(from_[0]);
  ::waitpid(keeper_, nullptr, 0);
}

void SmallDisk::resize(const std::string& options) const {
  int error = EPIPE;
  const bool answered = ::write(to_[1], options.data(), options.size()) == ssize_t(options.size()) &&
                        ::read(from_[0], &error, sizeof error) == sizeof error;
  if (!answered || error != 0)
    fail(Exit::storage, place_.path(), "no tmpfs can be mounted here, nor in a user namespace: {}",
         std::strerror(error));
}

std::string SmallDisk::missing() try {
  SmallDisk disk("size=64k");
  return "";
} catch (const Error& e) {
  return e.what();
}

std::string SmallDisk::operator/(const std::string& name) const {
  return fmt::format("/proc/{}/root{}/{}", keeper_, place_.path(), name);
}

}  // namespace tandem::test
