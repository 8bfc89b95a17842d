#include "core/run/metrics.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cmath>
#include <cstring>
#include <nlohmann/json.hpp>
#include <optional>

#include "core/base/error.h"
#include "core/base/file.h"

namespace tandem {
namespace {

nlohmann::json number(double x) {
  return std::isfinite(x) ? nlohmann::json(x) : nlohmann::json(nullptr);
}

nlohmann::json number(const std::optional<double>& x) {
  return number(x.value_or(NAN));
}

// Unix seconds, to the microsecond.
double now() {
  using namespace std::chrono;
  return double(duration_cast<microseconds>(system_clock::now().time_since_epoch()).count()) * 1e-6;
}

struct LineKind {
  uint64_t step = 0;
  bool evaluation = false;
};

// none: no line of ours
std::optional<LineKind> kind_of(std::string_view line) {
  const nlohmann::json j = nlohmann::json::parse(line, nullptr, false);
  const bool evaluation = j.is_object() && j.contains("eval");
  const nlohmann::json& object = evaluation ? j["eval"] : j;
  if (!object.is_object() || !object.contains("step") || !object["step"].is_number_unsigned()) return {};
  return LineKind{object["step"].get<uint64_t>(), evaluation};
}

// The whole lines of steps up to this one, and whether an evaluation at it is among them.
struct KeptLines {
  std::string text;
  bool evaluated = false;
};

KeptLines lines_up_to(uint64_t step, const std::string& path) {
  const std::string text = read_text(path, Exit::storage);
  KeptLines kept;
  for (size_t at = 0, end; (end = text.find('\n', at)) != text.npos; at = end + 1) {
    const std::string_view line = std::string_view(text).substr(at, end + 1 - at);
    const auto kind = kind_of(line);
    if (!kind || kind->step > step) continue;
    kept.evaluated = kept.evaluated || (kind->evaluation && kind->step == step);
    kept.text += line;
  }
  return kept;
}

}  // namespace

bool cut_metrics(const std::string& path, uint64_t step) {
  if (!file_exists(path)) return false;
  const KeptLines kept = lines_up_to(step, path);
  replace_file(path, kept.text);
  return kept.evaluated;
}

bool was_evaluated(const std::string& path, uint64_t step) {
  return file_exists(path) && lines_up_to(step, path).evaluated;
}

MetricsWriter::MetricsWriter(std::string path)
    : path_(std::move(path)), file_(open(path_.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644)) {
  if (file_ < 0) fail(Exit::storage, path_, "cannot be opened for writing: {}", std::strerror(errno));
}

MetricsWriter::~MetricsWriter() {
  close(file_);
}

void MetricsWriter::write(const StepMetrics& m) {
  nlohmann::ordered_json j;
  j["step"] = m.step;
  j["loss"] = number(m.loss);
  j["grad_norm"] = number(m.grad_norm);
  j["learning_rate"] = m.learning_rate;
  j["tokens"] = m.tokens;
  j["targets"] = m.targets;
  j["seconds"] = m.seconds;
  j["tokens_per_second"] = m.tokens_per_second;
  j["mfu"] = number(m.mfu);
  j["memory"] = m.memory;
  j["skipped"] = m.skipped;
  if (m.skipped_tensors) j["skipped_tensors"] = *m.skipped_tensors;
  j["time"] = now();
  j["data_seconds"] = m.data_seconds;
  if (m.copies_timed) j["copy_seconds"] = number(m.copy_seconds);
  if (m.save_seconds) j["save_seconds"] = *m.save_seconds;
  if (m.save_write_seconds) j["save_write_seconds"] = *m.save_write_seconds;
  if (m.scales) {
    j["scale_misses"] = m.scales->misses;
    j["scale_guesses"] = m.scales->guesses;
  }
  const std::pair<const char*, std::optional<double>> health[] = {{"power", m.health.power},
                                                                  {"temperature", m.health.temperature},
                                                                  {"clock", m.health.clock},
                                                                  {"energy", m.health.energy}};
  for (const auto& [name, value] : health)
    if (value) j[name] = number(*value);
  line(j.dump());
}

void MetricsWriter::write(const EvalMetrics& m) {
  nlohmann::ordered_json j;
  j["eval"] = {
      {"step", m.step}, {"loss", number(m.loss)}, {"tokens", m.tokens}, {"seconds", m.seconds}, {"time", now()}};
  line(j.dump());
}

void MetricsWriter::line(const std::string& text) {
  const std::string whole = text + "\n";
  const off_t before = ::lseek(file_, 0, SEEK_END);
  const ssize_t written = ::write(file_, whole.data(), whole.size());
  if (written == ssize_t(whole.size())) return;
  const int error = written < 0 ? errno : ENOSPC;
  const bool cut = written <= 0 || (before >= 0 && ::ftruncate(file_, before) == 0);
  fail(Exit::storage, path_, "a line could not be written{} ({}); free some space", cut ? "" : ", and part of it stays",
       std::strerror(error));
}

void MetricsWriter::sync() {
  if (::fsync(file_) != 0) fail(Exit::storage, path_, "cannot sync: {}", std::strerror(errno));
}

}  // namespace tandem
