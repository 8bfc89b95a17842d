// metrics.jsonl read from where it was left: whole lines alone, and from the start again once the file was cut.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

namespace tandem::report {

class MetricsFile {
 public:
  explicit MetricsFile(std::string path) : path_(std::move(path)) {}
  ~MetricsFile();
  MetricsFile(const MetricsFile&) = delete;
  MetricsFile& operator=(const MetricsFile&) = delete;

  enum class News { none, lines, restarted, gone };
  // Gives take each whole line that is new. restarted: the file was cut or replaced since the last call; restart is
  // called, and then all lines come again. gone: there is no such file. Exit::input where it cannot be read.
  News read(const std::function<void(std::string_view)>& take, const std::function<void()>& restart);
  uint64_t position() const { return read_; }             // bytes taken so far
  std::string text(uint64_t offset, size_t bytes) const;  // some of those

 private:
  bool reopen();  // false: there is no file

  std::string path_;
  int file_ = -1;      // Kept open: the number of a file that is open is given to no other.
  uint64_t read_ = 0;  // bytes, up to the last line end
};

}  // namespace tandem::report
