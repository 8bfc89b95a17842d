// Files: mapped for reading; written whole, synced, and put in place by a rename. Failed reads exit with Exit::input
// (or what the caller says), failed writes with Exit::storage; both name the path and the system's reason.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "core/base/error.h"

namespace tandem {

// A regular file in memory, read-only. The bytes stay where they are until it is destroyed, moved or not.
class MappedFile {
 public:
  explicit MappedFile(std::string path, Exit exit = Exit::input);
  ~MappedFile();
  MappedFile(MappedFile&& other) noexcept;
  MappedFile& operator=(MappedFile&& other) noexcept;
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;

  const std::string& path() const { return path_; }
  std::span<const std::byte> bytes() const { return bytes_; }

 private:
  std::string path_;
  std::span<const std::byte> bytes_;
};

// Reads mapped bytes in from the disk: false where it fails, for which a plain access would end the process (SIGBUS).
bool read_in(std::span<const std::byte> mapped);

std::string read_text(const std::string& path, Exit exit = Exit::input);
bool file_exists(const std::string& path);

// A file being written in pieces: created or truncated; whole only after finish(), which syncs and closes.
class OutputFile {
 public:
  explicit OutputFile(std::string path);
  ~OutputFile();
  OutputFile(const OutputFile&) = delete;
  OutputFile& operator=(const OutputFile&) = delete;

  void write(std::span<const std::byte> bytes);
  void write_at(uint64_t offset, std::span<const std::byte> bytes);  // over what is there; write goes on at the end
  void finish();

 private:
  void start_writing();

  std::string path_;
  int descriptor_ = -1;
  uint64_t written_ = 0, started_ = 0;  // bytes: by write, and of those on their way to the disk
};

void write_file_synced(const std::string& path, std::span<const std::span<const std::byte>> parts);
void write_file_synced(const std::string& path, std::string_view text);

// The name under which path is prepared: ".tmp-NAME" in the same directory.
std::string beside(const std::string& path);

// Writes beside, syncs, renames over path, syncs the directory: readers see the old file or the new one, whole.
void replace_file(const std::string& path, std::string_view text);

// Renames a file, or a directory onto nothing or an empty directory, and syncs the directory that holds it.
void rename_synced(const std::string& from, const std::string& to);
void sync_directory(const std::string& path);
void make_directories(const std::string& path);
void make_directory(const std::string& path);  // in one that is there; a directory that is there already is fine
void remove_all(const std::string& path);      // a path that is not there is fine

// True if the path is the folder or lies in it, wherever links lead that end; neither needs to be there. False where a
// path cannot be told: links in a circle, a name too long.
bool is_inside(const std::string& path, const std::string& folder);

// Bytes that a file in the directory may still take; none, and errno, where the system cannot tell.
std::optional<uint64_t> free_bytes(const std::string& directory);

// Locks what path opens as, until the descriptor is closed, which it is here before a failure. Exit::configuration at
// key, with the words of busy: another process has it. Exit::storage, where it was not opened too.
void lock_open_file(int descriptor, const std::string& path, std::string_view key, const std::string& busy);

}  // namespace tandem
