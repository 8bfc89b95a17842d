#include "core/report/events.h"

#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <bit>
#include <cerrno>
#include <cmath>
#include <cstring>
#include <functional>
#include <span>

#include "core/base/error.h"
#include "core/base/file.h"

namespace tandem::report {
namespace {

constexpr size_t kPending = 1 << 20;  // bytes that are written together
constexpr uint32_t kMask = 0xa282ead8;

constexpr std::array<uint32_t, 256> kCrcTable = [] {
  std::array<uint32_t, 256> table{};
  for (uint32_t i = 0; i < 256; ++i) {
    uint32_t crc = i;
    for (int bit = 0; bit < 8; ++bit) crc = crc >> 1 ^ ((crc & 1) != 0 ? 0x82f63b78u : 0);  // Castagnoli's, reflected
    table[i] = crc;
  }
  return table;
}();

template <typename T>
void put(std::string& out, T value) {
  char bytes[sizeof value];
  std::memcpy(bytes, &value, sizeof value);
  out.append(bytes, sizeof value);
}

uint32_t masked(std::string_view bytes) {
  return std::rotr(crc32c(bytes), 15) + kMask;
}

// Protocol buffers: a field's number and wire type, then its value.
enum class Wire : uint8_t { varint = 0, fixed64 = 1, bytes = 2, fixed32 = 5 };

void put_varint(std::string& out, uint64_t value) {
  for (; value >= 0x80; value >>= 7) out += char(value | 0x80);
  out += char(value);
}
void put_key(std::string& out, uint32_t field, Wire wire) {
  put_varint(out, field << 3 | uint32_t(wire));
}
void put_bytes(std::string& out, uint32_t field, std::string_view bytes) {
  put_key(out, field, Wire::bytes);
  put_varint(out, bytes.size());
  out += bytes;
}

std::string event(double time, uint64_t step) {
  std::string out;
  put_key(out, 1, Wire::fixed64);
  put(out, time);
  put_key(out, 2, Wire::varint);
  put_varint(out, step);
  return out;
}

struct Tag {
  Field field;
  std::string_view name;
};
constexpr Tag kStepTags[] = {{Field::loss, "train/loss"},
                             {Field::grad_norm, "train/grad_norm"},
                             {Field::learning_rate, "train/learning_rate"},
                             {Field::tokens_per_second, "speed/tokens_per_second"},
                             {Field::seconds, "speed/seconds"},
                             {Field::data_seconds, "speed/data_seconds"},
                             {Field::copy_seconds, "speed/copy_seconds"},
                             {Field::mfu, "speed/mfu"},
                             {Field::memory, "memory/device"},
                             {Field::scale_misses, "fp8/scale_misses"},
                             {Field::power, "device/power"},
                             {Field::temperature, "device/temperature"}};
constexpr Tag kEvaluationTags[] = {{Field::loss, "eval/loss"}};

// A loss or a norm that is null was not finite; null elsewhere says that there is none.
bool is_left_out(const Line& line, Field field) {
  if (!line.has(field)) return true;
  return line.is_null(field) && field != Field::loss && field != Field::grad_norm;
}

void add_values(std::string& summary, const Line& line, std::span<const Tag> tags) {
  for (const Tag& tag : tags) {
    if (is_left_out(line, tag.field)) continue;
    std::string value;
    put_bytes(value, 1, tag.name);
    put_key(value, 2, Wire::fixed32);
    put(value, float(line[tag.field]));
    put_bytes(summary, 1, value);
  }
}

}  // namespace

uint32_t crc32c(std::string_view bytes) {
  uint32_t crc = ~0u;
  for (const char c : bytes) crc = crc >> 8 ^ kCrcTable[(crc ^ uint32_t(static_cast<unsigned char>(c))) & 0xff];
  return ~crc;
}

std::string record(std::string_view data) {
  std::string out;
  put(out, uint64_t(data.size()));
  put(out, masked(out));
  out += data;
  put(out, masked(data));
  return out;
}

std::string version_event(double time) {
  std::string data = event(time, 0);
  put_bytes(data, 3, "brain.Event:2");
  return record(data);
}

std::string restart_event(double time, uint64_t step) {
  constexpr uint64_t kStart = 1;
  std::string log, data = event(time, step);
  put_key(log, 1, Wire::varint);
  put_varint(log, kStart);
  put_bytes(data, 7, log);
  return record(data);
}

std::string events_of(const Line& line, double time) {
  std::string summary;
  add_values(summary, line, line.evaluation ? std::span<const Tag>(kEvaluationTags) : std::span<const Tag>(kStepTags));
  if (summary.empty()) return "";
  std::string data = event(time, line.step);
  put_bytes(data, 5, summary);
  return record(data);
}

EventFile::~EventFile() {
  if (file_ >= 0) ::close(file_);
}

// A line without a time comes when those before it, and what it took, have passed.
double EventFile::time_of(const Line& line) {
  const double time = line[Field::time], seconds = line[Field::seconds];
  return clock_ = std::isfinite(time) ? time : clock_ + (std::isfinite(seconds) ? seconds : 0);
}

void EventFile::cut_to(size_t lines) {
  const uint64_t step = lines == 0 ? 0 : written_[lines - 1].step;
  written_.resize(lines);
  pending_ += restart_event(clock_, step + 1);
  comparing_ = false;
}

void EventFile::take(std::string_view text) {
  const std::optional<Line> line = parse_line(text);
  if (!line) return;
  const uint64_t hash = std::hash<std::string_view>{}(text);
  if (comparing_ && same_ < written_.size()) {
    if (written_[same_].hash == hash) return void(++same_);
    cut_to(same_);
  }
  add(*line, hash);
}

void EventFile::add(const Line& line, uint64_t hash) {
  const double time = time_of(line);
  if (path_.empty()) {
    make_directories(directory_);
    path_ = fmt::format("{}/events.out.tfevents.{:.0f}.tandem.0", directory_, std::floor(time));
    pending_ = version_event(time);
  }
  const uint64_t before = written_.empty() ? 0 : written_.back().step;
  if (line.step < before || (line.step == before && !line.evaluation))
    pending_ += restart_event(time, line.step);  // a step that stands twice: the later line holds
  pending_ += events_of(line, time);
  written_.push_back({hash, line.step});
  if (pending_.size() >= kPending) flush();
}

void EventFile::flush() {
  if (path_.empty()) return;
  if (file_ < 0) {
    const std::string name = beside(path_);
    file_ = ::open(name.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0644);
    if (file_ < 0) fail(Exit::storage, name, "cannot be opened for writing: {}", std::strerror(errno));
  }
  for (std::string_view rest = pending_; !rest.empty();) {
    const ssize_t n = ::write(file_, rest.data(), rest.size());
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0)
      fail(Exit::storage, path_, "cannot be written ({}); free some space", std::strerror(n < 0 ? errno : ENOSPC));
    rest.remove_prefix(size_t(n));
  }
  pending_.clear();
}

void EventFile::update() {
  const bool is_new = path_.empty();
  try {
    metrics_.read([&](std::string_view text) { take(text); },
                  [&] {
                    comparing_ = true;
                    same_ = 0;
                  });
    if (comparing_ && same_ < written_.size()) cut_to(same_);
    comparing_ = false;
    flush();
    if (is_new && file_ >= 0) {
      if (::fsync(file_) != 0) fail(Exit::storage, path_, "cannot sync: {}", std::strerror(errno));
      rename_synced(beside(path_), path_);
    }
  } catch (const Error&) {
    if (is_new && file_ >= 0) ::unlink(beside(path_).c_str());
    throw;
  }
}

}  // namespace tandem::report
