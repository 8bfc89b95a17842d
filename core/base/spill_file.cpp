#include "core/base/spill_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>

#include "core/base/error.h"

namespace tandem {
namespace {

constexpr size_t kPart = 1 << 20;  // bytes; a smaller one takes more calls

[[noreturn]] void cannot(const std::string& directory, const char* verb) {
  fail(Exit::storage, directory, "cannot {} a temporary file: {}", verb, std::strerror(errno));
}

}  // namespace

SpillFile::SpillFile(const std::string& neighbour) {
  const std::string parent = std::filesystem::path(neighbour).parent_path().string();
  directory_ = parent.empty() ? "." : parent;
  std::string name = directory_ + "/.tmp-spill-XXXXXX";
  descriptor_ = ::mkostemp(name.data(), O_CLOEXEC);
  if (descriptor_ < 0) cannot(directory_, "create");
  ::unlink(name.c_str());
}

SpillFile::~SpillFile() {
  if (descriptor_ >= 0) ::close(descriptor_);
}

void SpillFile::append(std::span<const std::byte> bytes) {
  waiting_.insert(waiting_.end(), bytes.begin(), bytes.end());
  size_ += bytes.size();
  if (waiting_.size() >= kPart) flush();
}

void SpillFile::flush() {
  for (std::span<const std::byte> left = waiting_; !left.empty();) {
    const ssize_t done = ::pwrite(descriptor_, left.data(), left.size(), off_t(written_));
    if (done < 0 && errno == EINTR) continue;
    if (done < 0) cannot(directory_, "write");
    left = left.subspan(size_t(done));
    written_ += uint64_t(done);
  }
  waiting_.clear();
}

void SpillFile::for_each_part(const std::function<void(std::span<const std::byte>)>& sink) {
  flush();
  std::vector<std::byte> part(std::min<uint64_t>(kPart, written_));
  for (uint64_t at = 0; at < written_;) {
    const ssize_t got = ::pread(descriptor_, part.data(), std::min<uint64_t>(part.size(), written_ - at), off_t(at));
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) cannot(directory_, "read");
    sink(std::span(part).first(size_t(got)));
    at += uint64_t(got);
  }
}

}  // namespace tandem
