#include "core/data/byte_source.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "core/base/error.h"
#include "core/data/unpack.h"

namespace tandem {
namespace {

class FileBytes : public ByteSource {
 public:
  FileBytes(std::string name, int descriptor) : name_(std::move(name)), descriptor_(descriptor) {}
  ~FileBytes() override {
    if (descriptor_ != STDIN_FILENO) ::close(descriptor_);
  }

  size_t read(std::span<char> to) override {
    size_t done = 0;
    while (done < to.size()) {
      const ssize_t got = ::read(descriptor_, to.data() + done, to.size() - done);
      if (got < 0 && errno == EINTR) continue;
      if (got < 0) fail(Exit::input, name_, "cannot read: {}", std::strerror(errno));
      if (got == 0) break;
      done += size_t(got);
    }
    return done;
  }

 private:
  std::string name_;
  int descriptor_;
};

std::unique_ptr<ByteSource> open_file(const std::string& path) {
  // O_NONBLOCK: to open a pipe would wait for its writer
  const int descriptor = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (descriptor < 0) fail(Exit::input, path, "cannot open: {}", std::strerror(errno));
  auto file = std::make_unique<FileBytes>(path, descriptor);
  struct stat status = {};
  if (::fstat(descriptor, &status) != 0) fail(Exit::input, path, "cannot read: {}", std::strerror(errno));
  if (!S_ISREG(status.st_mode)) fail(Exit::input, path, "is not a regular file; name a file, or - for standard input");
  return file;
}

}  // namespace

std::string_view without_compression(std::string_view path) {
  for (const std::string_view ending : {".gz", ".zst"})
    if (path.ends_with(ending)) return path.substr(0, path.size() - ending.size());
  return path;
}

std::unique_ptr<ByteSource> open_bytes(const std::string& path) {
  if (path == "-") return std::make_unique<FileBytes>("standard input", STDIN_FILENO);
  if (path.ends_with(".gz")) return unpack_gz(path, open_file(path));
  if (path.ends_with(".zst")) return unpack_zst(path, open_file(path));
  return open_file(path);
}

}  // namespace tandem
