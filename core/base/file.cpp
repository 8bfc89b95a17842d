#include "core/base/file.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <utility>

namespace tandem {
namespace {

[[noreturn]] void cannot(Exit exit, const std::string& path, const char* verb, int error) {
  fail(exit, path, "cannot {}: {}", verb, std::strerror(error));
}

// A descriptor that closes itself; for reading, where close cannot lose anything.
struct Descriptor {
  int value = -1;
  ~Descriptor() {
    if (value >= 0) ::close(value);
  }
};

constexpr size_t kPiece = 16 << 20;

std::string parent_of(const std::string& path) {
  const std::string parent = std::filesystem::path(path).parent_path().string();
  return parent.empty() ? "." : parent;
}

std::string_view without_slashes(std::string_view path) {
  while (path.size() > 1 && path.back() == '/') path.remove_suffix(1);
  return path;
}

}  // namespace

MappedFile::MappedFile(std::string path, Exit exit) : path_(std::move(path)) {
  // O_NONBLOCK: to open a pipe would wait for its writer
  const Descriptor file{::open(path_.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK)};
  if (file.value < 0) cannot(exit, path_, "open", errno);
  struct stat status = {};
  if (::fstat(file.value, &status) != 0) cannot(exit, path_, "read", errno);
  if (!S_ISREG(status.st_mode)) fail(exit, path_, "is not a regular file; name a file");
  const size_t size = size_t(status.st_size);
  if (size == 0) return;  // mmap refuses empty ranges
  void* memory = ::mmap(nullptr, size, PROT_READ, MAP_PRIVATE, file.value, 0);
  if (memory == MAP_FAILED) cannot(exit, path_, "map into memory", errno);
  bytes_ = {static_cast<const std::byte*>(memory), size};
}

MappedFile::~MappedFile() {
  if (!bytes_.empty()) ::munmap(const_cast<std::byte*>(bytes_.data()), bytes_.size());
}

MappedFile::MappedFile(MappedFile&& other) noexcept
    : path_(std::move(other.path_)), bytes_(std::exchange(other.bytes_, {})) {}

MappedFile& MappedFile::operator=(MappedFile&& other) noexcept {
  std::swap(path_, other.path_);
  std::swap(bytes_, other.bytes_);
  return *this;
}

bool read_in(std::span<const std::byte> mapped) {
  if (mapped.empty()) return true;
  const uintptr_t page = uintptr_t(::sysconf(_SC_PAGESIZE));
  const size_t before = reinterpret_cast<uintptr_t>(mapped.data()) % page;  // bytes of the first page
  void* first = const_cast<std::byte*>(mapped.data()) - before;
  const size_t bytes = mapped.size() + before;
  while (::madvise(first, bytes, MADV_POPULATE_READ) != 0) {
    if (errno == EFAULT || errno == EHWPOISON) return false;
    if (errno != EINTR && errno != EAGAIN) return true;  // an older system cannot tell
  }
  return true;
}

std::string read_text(const std::string& path, Exit exit) {
  const MappedFile file(path, exit);
  return {reinterpret_cast<const char*>(file.bytes().data()), file.bytes().size()};
}

bool file_exists(const std::string& path) {
  return ::access(path.c_str(), F_OK) == 0;
}

OutputFile::OutputFile(std::string path) : path_(std::move(path)) {
  descriptor_ = ::open(path_.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
  if (descriptor_ < 0) cannot(Exit::storage, path_, "create", errno);
}

OutputFile::~OutputFile() {
  if (descriptor_ >= 0) ::close(descriptor_);
}

void OutputFile::write(std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    const ssize_t written = ::write(descriptor_, bytes.data(), std::min(bytes.size(), kPiece));
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) cannot(Exit::storage, path_, "write", errno);
    bytes = bytes.subspan(size_t(written));
    written_ += uint64_t(written);
    start_writing();
  }
}

// The system would keep what is written in memory until finish() waits for it; so the disk works meanwhile. It is a
// hint: what goes wrong with it, finish() finds.
void OutputFile::start_writing() {
  if (written_ - started_ < kPiece) return;
  (void)::sync_file_range(descriptor_, off64_t(started_), off64_t(written_ - started_), SYNC_FILE_RANGE_WRITE);
  started_ = written_;
}

void OutputFile::write_at(uint64_t offset, std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    const ssize_t written = ::pwrite(descriptor_, bytes.data(), bytes.size(), off_t(offset));
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) cannot(Exit::storage, path_, "write", errno);
    bytes = bytes.subspan(size_t(written));
    offset += uint64_t(written);
  }
}

void OutputFile::finish() {
  if (::fsync(descriptor_) != 0) cannot(Exit::storage, path_, "sync", errno);
  if (::close(std::exchange(descriptor_, -1)) != 0) cannot(Exit::storage, path_, "close", errno);
}

void write_file_synced(const std::string& path, std::span<const std::span<const std::byte>> parts) {
  OutputFile file(path);
  for (std::span<const std::byte> part : parts) file.write(part);
  file.finish();
}

void write_file_synced(const std::string& path, std::string_view text) {
  const std::span<const std::byte> part = std::as_bytes(std::span(text));
  write_file_synced(path, std::span(&part, 1));
}

std::string beside(const std::string& path) {
  const std::filesystem::path clean(without_slashes(path));
  return (clean.parent_path() / (".tmp-" + clean.filename().string())).string();
}

void replace_file(const std::string& path, std::string_view text) {
  const std::string temporary = beside(path);
  try {
    write_file_synced(temporary, text);
    rename_synced(temporary, path);
  } catch (...) {
    ::unlink(temporary.c_str());
    throw;
  }
}

void rename_synced(const std::string& from, const std::string& to) {
  const std::string target(without_slashes(to));
  if (std::rename(from.c_str(), target.c_str()) != 0) {
    const int error = errno;
    fail(Exit::storage, target, "cannot rename {} to it: {}", from, std::strerror(error));
  }
  sync_directory(parent_of(target));
}

void sync_directory(const std::string& path) {
  const Descriptor directory{::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)};
  if (directory.value < 0) cannot(Exit::storage, path, "open", errno);
  if (::fsync(directory.value) != 0) cannot(Exit::storage, path, "sync", errno);
}

void make_directories(const std::string& path) {
  std::error_code error;
  std::filesystem::create_directories(path, error);
  if (error) fail(Exit::storage, path, "cannot create the directory: {}", error.message());
}

void make_directory(const std::string& path) {
  std::error_code error;
  std::filesystem::create_directory(path, error);
  if (error) fail(Exit::storage, path, "cannot create the directory: {}", error.message());
}

void remove_all(const std::string& path) {
  std::error_code error;
  std::filesystem::remove_all(path, error);
  if (error) fail(Exit::storage, path, "cannot remove: {}", error.message());
}

bool is_inside(const std::string& path, const std::string& folder) {
  namespace fs = std::filesystem;
  std::error_code error;
  const auto place = [&](const std::string& of) { return fs::weakly_canonical(fs::absolute(of, error), error); };
  const fs::path inner = place(path), outer = place(folder);
  if (inner.empty() || outer.empty()) return false;
  const fs::path relative = inner.lexically_relative(outer);
  return !relative.empty() && *relative.begin() != "..";
}

std::optional<uint64_t> free_bytes(const std::string& directory) {
  struct statvfs disk = {};
  if (::statvfs(directory.c_str(), &disk) != 0) return std::nullopt;
  return uint64_t(disk.f_bavail) * disk.f_frsize;
}

void lock_open_file(int descriptor, const std::string& path, std::string_view key, const std::string& busy) {
  if (descriptor < 0) fail(Exit::storage, path, "cannot open: {}", std::strerror(errno));
  if (::flock(descriptor, LOCK_EX | LOCK_NB) == 0) return;
  const int error = errno;
  ::close(descriptor);
  if (error == EWOULDBLOCK) fail(Exit::configuration, key, "{}", busy);
  fail(Exit::storage, path, "cannot lock: {}", std::strerror(error));
}

}  // namespace tandem
