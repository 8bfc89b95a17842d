#include "backends/common/health_monitor.h"

#include <atomic>
#include <chrono>
#include <mutex>
#include <thread>
#include <utility>

#include "core/base/message.h"

namespace tandem {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::chrono::seconds kPeriod{1};

double seconds_between(Clock::time_point first, Clock::time_point last) {
  return std::chrono::duration<double>(last - first).count();
}

// What the counter of energy says, from the first sample on.
struct EnergySince {
  std::optional<double> first, last;  // J
  Clock::time_point time;

  // W since the sample before; none for the first
  std::optional<double> add(double now) {
    const auto at = Clock::now();
    const std::optional<double> before = std::exchange(last, now);
    const double seconds = seconds_between(std::exchange(time, at), at);
    if (!first) first = now;
    return before && seconds > 0 ? std::optional((now - *before) / seconds) : std::nullopt;
  }
};

Health sample(Nvml& device, EnergySince& since) {
  Health health;
  std::optional<double> average;
  if (const auto energy = device.energy()) {
    average = since.add(*energy);
    health.energy = *energy - *since.first;
  }
  health.power = average ? average : device.power();
  health.temperature = device.temperature();
  health.clock = device.clock();
  return health;
}

}  // namespace

struct HealthMonitor::Shared {
  std::chrono::milliseconds patience;
  std::atomic<bool> over = false;
  std::mutex mutex;  // guards what follows, and is never held while the driver is asked
  std::optional<Health> fresh;
  std::string problem;
  bool answered = false, told = false;
  Clock::time_point start = Clock::now();
};

HealthMonitor::HealthMonitor(std::string bus, std::chrono::milliseconds patience)
    : shared_(std::make_shared<Shared>()) {
  shared_->patience = patience;
  std::thread([shared = shared_, bus = std::move(bus)] {
    Nvml device(bus);
    EnergySince since;
    while (!shared->over) {
      const Health health = sample(device, since);
      {
        const std::lock_guard lock(shared->mutex);
        shared->fresh = health;
        shared->problem = device.problem();
        shared->answered = true;
      }
      std::this_thread::sleep_for(kPeriod);
    }
  }).detach();
}

HealthMonitor::~HealthMonitor() {
  shared_->over = true;
}

std::optional<Health> HealthMonitor::take() {
  std::string problem;
  std::optional<Health> health;
  {
    const std::lock_guard lock(shared_->mutex);
    if (!shared_->answered && Clock::now() - shared_->start > shared_->patience)
      shared_->problem = fmt::format("the driver has not answered for {} ms", shared_->patience.count());
    if (!shared_->problem.empty() && !std::exchange(shared_->told, true)) problem = shared_->problem;
    health = std::exchange(shared_->fresh, {});
  }
  if (!problem.empty())
    write_message(fmt::format("metrics.jsonl will lack the device's power, temperature or clock: {}\n", problem));
  return health;
}

}  // namespace tandem
