// A library to preload: at the Nth call of one kind on a path that holds PART, the call fails, or a signal comes first.
// TANDEM_FAULT="CALL:N:WHAT:PART": CALL is open, write, fsync, close, rename, mkdir or unlink; WHAT an errno, or sN for
// signal N, or SN for it twice. Or a letter and a directory (none: the one that holds the path): v moves it away, to
// its name and ".gone"; r does, and makes an empty one in its place; d removes it. Or a letter and a file: f makes it
// as large as its disk is free, t cuts it to nothing, w waits until it is there, and fails with the errno that it holds
// (none: it does not fail). The file TANDEM_FAULT_MARK is made when it strikes.
#undef _FILE_OFFSET_BITS  // with it, open would be compiled as open64
#include <dlfcn.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <filesystem>
#include <string>

namespace {

struct Fault {
  std::string call, what, part;
  long nth = 0;
  std::atomic<long> seen = 0;  // files are written by threads, too

  Fault() {
    const char* text = getenv("TANDEM_FAULT");
    char name[32], action[128], place[128];
    if (text && sscanf(text, "%31[^:]:%ld:%127[^:]:%127s", name, &nth, action, place) == 4)
      call = name, what = action, part = place;
  }
};

Fault& fault() {
  static Fault one;
  return one;
}

void fill(const char* path) {
  const int file = int(syscall(SYS_openat, AT_FDCWD, path, O_CREAT | O_WRONLY, 0666));
  static const char bytes[4096] = {};
  while (syscall(SYS_write, file, bytes, sizeof bytes) > 0) continue;
  syscall(SYS_close, file);
}

bool fails_after(const char* path) {
  int file = -1;
  while ((file = int(syscall(SYS_openat, AT_FDCWD, path, O_RDONLY))) < 0) usleep(1000);
  char text[8] = {};
  const bool fails = syscall(SYS_read, file, text, sizeof text - 1) > 0;
  syscall(SYS_close, file);
  return fails && (errno = atoi(text), true);
}

// whether this call fails; errno is then set
bool strikes(const char* call, const char* path) {
  Fault& f = fault();
  if (f.call != call || strstr(path, f.part.c_str()) == nullptr || ++f.seen != f.nth) return false;
  if (const char* mark = getenv("TANDEM_FAULT_MARK"))  // not by open and close, which may be what fails
    syscall(SYS_close, syscall(SYS_openat, AT_FDCWD, mark, O_CREAT | O_WRONLY, 0666));
  if (f.what[0] == 't') return ::truncate(f.what.c_str() + 1, 0) != 0;
  if (f.what[0] == 'w') return fails_after(f.what.c_str() + 1);
  if (f.what[0] == 'f') return fill(f.what.c_str() + 1), false;
  if (strchr("vrd", f.what[0])) {
    const std::string directory = f.what.size() > 1 ? f.what.substr(1) : std::string(path, strrchr(path, '/'));
    if (f.what[0] == 'd') return std::filesystem::remove_all(directory) == 0;
    if (syscall(SYS_rename, directory.c_str(), (directory + ".gone").c_str()) != 0) return true;
    return f.what[0] == 'r' && syscall(SYS_mkdir, directory.c_str(), 0777) != 0;
  }
  const bool twice = f.what[0] == 'S';
  if (!twice && f.what[0] != 's') return errno = atoi(f.what.c_str()), true;
  // To this thread, which handles one before it goes on: two that wait for another thread would be one.
  for (int i = 0; i < (twice ? 2 : 1); ++i) ::raise(atoi(f.what.c_str() + 1));
  return false;
}

bool strikes(const char* call, int descriptor) {
  if (fault().call != call) return false;
  char link[64], path[PATH_MAX] = {};
  snprintf(link, sizeof link, "/proc/self/fd/%d", descriptor);
  return ::readlink(link, path, sizeof path - 1) > 0 && strikes(call, path);
}

template <typename Function>
Function next(const char* name) {
  return reinterpret_cast<Function>(dlsym(RTLD_NEXT, name));
}

}  // namespace

extern "C" {

int open(const char* path, int flags, ...) {
  va_list rest;
  va_start(rest, flags);
  const mode_t mode = (flags & O_CREAT) ? va_arg(rest, mode_t) : 0;
  va_end(rest);
  if (strikes("open", path)) return -1;
  return next<int (*)(const char*, int, ...)>("open")(path, flags, mode);
}

int mkostemp(char* path, int flags) {
  if (strikes("open", path)) return -1;
  return next<int (*)(char*, int)>("mkostemp")(path, flags);
}

int mkostemp64(char* path, int flags) {
  if (strikes("open", path)) return -1;
  return next<int (*)(char*, int)>("mkostemp64")(path, flags);
}

int open64(const char* path, int flags, ...) {
  va_list rest;
  va_start(rest, flags);
  const mode_t mode = (flags & O_CREAT) ? va_arg(rest, mode_t) : 0;
  va_end(rest);
  if (strikes("open", path)) return -1;
  return next<int (*)(const char*, int, ...)>("open64")(path, flags, mode);
}

ssize_t write(int descriptor, const void* bytes, size_t count) {
  if (strikes("write", descriptor)) return -1;
  return next<ssize_t (*)(int, const void*, size_t)>("write")(descriptor, bytes, count);
}

int fsync(int descriptor) {
  if (strikes("fsync", descriptor)) return -1;
  return next<int (*)(int)>("fsync")(descriptor);
}

int close(int descriptor) {
  const bool struck = strikes("close", descriptor);
  const int error = errno, result = next<int (*)(int)>("close")(descriptor);
  if (struck) errno = error;
  return struck ? -1 : result;
}

int rename(const char* from, const char* to) {
  if (strikes("rename", from)) return -1;
  return next<int (*)(const char*, const char*)>("rename")(from, to);
}

int mkdir(const char* path, mode_t mode) {
  if (strikes("mkdir", path)) return -1;
  return next<int (*)(const char*, mode_t)>("mkdir")(path, mode);
}

// what std::filesystem::remove_all uses for what lies in a directory
int unlinkat(int directory, const char* path, int flags) {
  if (strikes("unlink", directory) || strikes("unlink", path)) return -1;
  return next<int (*)(int, const char*, int)>("unlinkat")(directory, path, flags);
}

}  // extern "C"
