#include "core/report/metrics_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>
#include <vector>

#include "core/base/error.h"

namespace tandem::report {
namespace {

constexpr size_t kPiece = 1 << 20;
constexpr size_t kLongest = 64 << 20;  // bytes of a line; more is not a line of ours

}  // namespace

MetricsFile::~MetricsFile() {
  if (file_ >= 0) ::close(file_);
}

bool MetricsFile::reopen() {
  if (file_ >= 0) ::close(std::exchange(file_, -1));
  read_ = 0;
  file_ = ::open(path_.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (file_ < 0 && errno != ENOENT && errno != ENOTDIR)
    fail(Exit::input, path_, "cannot open: {}", std::strerror(errno));
  return file_ >= 0;
}

MetricsFile::News MetricsFile::read(const std::function<void(std::string_view)>& take,
                                    const std::function<void()>& restart) {
  News news = News::none;
  struct stat there = {}, mine = {};
  if (::stat(path_.c_str(), &there) != 0) return News::gone;
  if (!S_ISREG(there.st_mode)) fail(Exit::input, path_, "is not a regular file; name a run directory");
  const bool known = file_ >= 0 && ::fstat(file_, &mine) == 0 && mine.st_dev == there.st_dev &&
                     mine.st_ino == there.st_ino && uint64_t(mine.st_size) >= read_;
  if (!known) {
    const bool first = file_ < 0;
    if (!reopen()) return News::gone;
    if (!first) news = News::restarted, restart();
  }
  std::vector<char> buffer(kPiece);
  size_t held = 0;  // bytes of a line whose end is still to come
  for (;;) {
    if (held == buffer.size()) buffer.resize(2 * buffer.size());
    const ssize_t n = ::pread(file_, buffer.data() + held, buffer.size() - held, off_t(read_ + held));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) fail(Exit::input, path_, "cannot read: {}", std::strerror(errno));
    if (n == 0) return news;
    const std::string_view text(buffer.data(), held + size_t(n));
    size_t at = 0;
    for (size_t end; (end = text.find('\n', at)) != text.npos; at = end + 1) take(text.substr(at, end - at));
    if (at > 0 && news == News::none) news = News::lines;
    read_ += at;
    held = text.size() - at;
    if (held > kLongest)
      fail(Exit::input, path_, "has a line of more than {} bytes; it is not a metrics.jsonl", kLongest);
    std::memmove(buffer.data(), buffer.data() + at, held);
  }
}

std::string MetricsFile::text(uint64_t offset, size_t bytes) const {
  std::string text(bytes, '\0');
  for (size_t done = 0; done < bytes;) {
    const ssize_t n = ::pread(file_, text.data() + done, bytes - done, off_t(offset + done));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) fail(Exit::input, path_, "cannot read: {}", std::strerror(errno));
    if (n == 0) return text.substr(0, done);  // cut meanwhile; the next read finds that
    done += size_t(n);
  }
  return text;
}

}  // namespace tandem::report
