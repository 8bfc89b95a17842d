#include "core/train/metrics.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cmath>
#include <cstring>
#include <nlohmann/json.hpp>

#include "core/base/error.h"

namespace tandem {
namespace {

nlohmann::json number(double x) {
  return std::isfinite(x) ? nlohmann::json(x) : nlohmann::json(nullptr);
}

}  // namespace

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
  j["mfu"] = m.mfu ? number(*m.mfu) : nlohmann::json(nullptr);
  j["memory"] = m.memory;
  j["skipped"] = m.skipped;
  line(j.dump());
}

void MetricsWriter::write(const EvalMetrics& m) {
  nlohmann::ordered_json j;
  j["eval"] = {{"step", m.step}, {"loss", number(m.loss)}, {"tokens", m.tokens}};
  line(j.dump());
}

void MetricsWriter::line(const std::string& text) {
  const std::string whole = text + "\n";
  const ssize_t written = ::write(file_, whole.data(), whole.size());
  if (written != ssize_t(whole.size()))
    fail(Exit::storage, path_, "a line could not be written ({}); free some space",
         written < 0 ? std::strerror(errno) : "disk full");
}

}  // namespace tandem
