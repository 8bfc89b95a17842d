// Event files for TensorBoard, written by hand: records of length, checksum, protocol buffer, checksum.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "core/report/metrics_file.h"
#include "core/report/metrics_line.h"

namespace tandem::report {

uint32_t crc32c(std::string_view bytes);

// A record of an event file: data with its length and both checksums.
std::string record(std::string_view data);

std::string version_event(double time);                 // the first of every file
std::string restart_event(double time, uint64_t step);  // drops what stood at that step and later
std::string events_of(const Line& line, double time);   // a line's figures by tag; empty where it has none

// The events of a run: DIR/events.out.tfevents.<seconds of the first line>.tandem.0.
class EventFile {
 public:
  // metrics: a run's metrics.jsonl; directory: the run's among others, made when there is something to write.
  EventFile(std::string metrics, std::string directory)
      : metrics_(std::move(metrics)), directory_(std::move(directory)) {}

  // The first call writes a new file, beside and renamed, the next ones add what is new; once metrics.jsonl was cut, a
  // restart at the first step that is gone. Exit::storage.
  void update();

 private:
  struct Written {
    uint64_t hash = 0, step = 0;  // a line's
  };
  void take(std::string_view text);
  void add(const Line& line, uint64_t hash);
  void cut_to(size_t lines);
  double time_of(const Line& line);
  void flush();

  MetricsFile metrics_;
  std::string directory_, path_;
  std::vector<Written> written_;
  size_t same_ = 0;         // lines that were found again, as they were written, since the file was cut
  bool comparing_ = false;  // it was cut, and no line was another yet
  double clock_ = 0;        // the last line's time
  std::string pending_;     // bytes to write
  int file_ = -1;           // written to as pending_ fills up

 public:
  ~EventFile();
  EventFile(const EventFile&) = delete;
  EventFile& operator=(const EventFile&) = delete;
};

}  // namespace tandem::report
