#include "core/report/alive.h"

#include <sys/stat.h>
#include <sys/sysmacros.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <fstream>

#include <fmt/format.h>

namespace tandem::report {
namespace {

constexpr double kYoungSeconds = 60, kYoungSteps = 10;

// /proc/locks: "1: FLOCK  ADVISORY  WRITE 4242 08:01:131 0 EOF", with the device in hexadecimal.
bool is_locked(const std::string& path) {
  struct stat file = {};
  if (::stat(path.c_str(), &file) != 0) return false;
  const std::string id = fmt::format(" {:02x}:{:02x}:{} ", major(file.st_dev), minor(file.st_dev), file.st_ino);
  std::ifstream locks("/proc/locks");
  for (std::string line; std::getline(locks, line);)
    if (line.find("FLOCK") != line.npos && line.find(id) != line.npos) return true;
  return false;
}

// Processes of this host alone stand in /proc/locks; a file system of the network may be another host's.
bool may_be_elsewhere(const std::string& path) {
  std::ifstream mounts("/proc/self/mountinfo");
  struct stat file = {};
  if (::stat(path.c_str(), &file) != 0) return true;
  const std::string id = fmt::format("{}:{}", major(file.st_dev), minor(file.st_dev));
  for (std::string line; std::getline(mounts, line);) {
    const size_t second = line.find(' '), third = line.find(' ', second + 1), fourth = line.find(' ', third + 1);
    if (line.substr(third + 1, fourth - third - 1) != id) continue;
    const size_t dash = line.find(" - ");
    for (const char* kind : {"nfs", "cifs", "smb", "9p", "fuse", "lustre", "ceph", "gpfs", "beegfs", "virtiofs"})
      if (dash != line.npos && line.compare(dash + 3, std::string_view(kind).size(), kind) == 0) return true;
  }
  return false;
}

}  // namespace

bool is_alive(const std::string& directory, std::optional<double> last_time, double median_seconds) {
  const std::string lock = directory + "/.lock";
  if (is_locked(lock)) return true;
  if (!may_be_elsewhere(lock) || !last_time) return false;
  const double now = std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
  const double young = std::max(kYoungSeconds, std::isfinite(median_seconds) ? kYoungSteps * median_seconds : 0);
  return now - *last_time < young;
}

}  // namespace tandem::report
