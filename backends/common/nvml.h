// NVIDIA's management library, which comes with the driver: what it tells of one device. It is opened at run time, and
// its types are declared by hand. A call takes as long as the driver likes.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>

namespace tandem {

class Nvml {
 public:
  // bus: the device's PCI bus id, "0000:65:00.0". TANDEM_NVML: another file than libnvidia-ml.so.1; 0: no library.
  explicit Nvml(const std::string& bus);
  ~Nvml();
  Nvml(const Nvml&) = delete;
  Nvml& operator=(const Nvml&) = delete;

  // Why nothing is told, or what was refused so far; empty: nothing was.
  const std::string& problem() const { return problem_; }

  std::optional<uint64_t> free_bytes();  // memory of the device
  std::optional<double> energy();        // J, since the driver was loaded
  std::optional<double> power();         // W
  std::optional<double> temperature();   // degrees Celsius
  std::optional<double> clock();         // MHz, of the multiprocessors

 private:
  struct Close {
    void operator()(void* library) const;
  };

  template <typename... Arguments>
  int (*find(const char* name))(Arguments...);
  template <typename Value, typename... Arguments>
  std::optional<Value> ask(const char* name, Arguments... arguments);
  void refuse(const char* name, const std::string& why);

  std::unique_ptr<void, Close> library_;
  bool initialised_ = false;
  void* device_ = nullptr;
  std::string problem_;
};

// How long a driver may take to answer before the process goes on without.
constexpr std::chrono::milliseconds kNvmlPatience{5000};

// Free bytes of the device's memory, asked on another thread; nullopt where there is no answer in time.
std::optional<uint64_t> free_bytes_by_nvml(const std::string& bus, std::chrono::milliseconds patience = kNvmlPatience);

}  // namespace tandem
