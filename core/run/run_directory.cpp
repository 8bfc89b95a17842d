#include "core/run/run_directory.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>

#include "core/base/file.h"

namespace tandem {
namespace {

namespace fs = std::filesystem;
constexpr const char* kLock = ".lock";

// nothing but the lock of a run that never began
bool is_fresh(const std::string& directory) {
  std::error_code error;
  const fs::directory_iterator all(directory, error);
  return !error &&
         std::all_of(begin(all), end(all), [](const auto& entry) { return entry.path().filename() == kLock; });
}

}  // namespace

void require_empty(const std::string& directory) {
  std::error_code error;
  if (fs::exists(directory, error) && !is_fresh(directory))
    fail(Exit::configuration, "run.directory",
         "{} is not an empty directory; go on with --resume, or use another directory", directory);
}

RunDirectory::RunDirectory(std::string path) : path_(std::move(path)) {
  make_directories(path_);
  const std::string name = path_ + "/" + kLock;
  lock_ = ::open(name.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0666);
  lock_open_file(lock_, name, "run.directory",
                 fmt::format("{} is in use by another run; wait for its end, or use another directory", path_));
}

void RunDirectory::require_in_place() const {
  struct stat locked = {}, there = {};
  if (::fstat(lock_, &locked) != 0) fail(Exit::storage, path_, "cannot read its lock: {}", std::strerror(errno));
  const std::string name = path_ + "/" + kLock;
  if (::lstat(name.c_str(), &there) == 0 && there.st_dev == locked.st_dev && there.st_ino == locked.st_ino) return;
  fail(Exit::storage, path_,
       "is no longer the directory of this run: it was moved away, removed or replaced, or its {} was; nothing is "
       "written there. Move it back, or name its new place as run.directory, and go on with --resume",
       kLock);
}

RunDirectory::~RunDirectory() {
  ::close(lock_);  // and with it the lock
}

}  // namespace tandem
