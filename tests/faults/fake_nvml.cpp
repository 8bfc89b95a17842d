// The calls of NVIDIA's management library that Tandem makes, played. TANDEM_NVML_MODE: "refuse", "stuck" (the first
// call never returns), else figures: each look at the energy counter finds 100 J more.
#include <unistd.h>

#include <cstdlib>
#include <string_view>

namespace {

std::string_view mode() {
  const char* set = std::getenv("TANDEM_NVML_MODE");
  return set ? set : "";
}

unsigned long long energy = 5'000'000;  // mJ

}  // namespace

extern "C" {

int nvmlInit_v2() {
  while (mode() == "stuck") ::pause();
  return mode() == "refuse" ? 4 : 0;  // no permission
}

int nvmlShutdown() {
  return 0;
}

int nvmlDeviceGetHandleByPciBusId_v2(const char* bus, void** device) {
  *device = &energy;
  return std::string_view(bus) == "0000:65:00.0" ? 0 : 6;  // not found
}

int nvmlDeviceGetMemoryInfo(void*, unsigned long long* total_free_used) {
  total_free_used[0] = 24'000'000'000;
  total_free_used[1] = 7'000'000'000;
  total_free_used[2] = 17'000'000'000;
  return 0;
}

int nvmlDeviceGetTotalEnergyConsumption(void*, unsigned long long* millijoules) {
  *millijoules = energy;
  energy += 100'000;
  return 0;
}

int nvmlDeviceGetPowerUsage(void*, unsigned* milliwatts) {
  *milliwatts = 42'000;
  return 0;
}

#ifndef TANDEM_LEAN_NVML
int nvmlDeviceGetTemperature(void*, int sensor, unsigned* degrees) {
  *degrees = 61;
  return sensor == 0 ? 0 : 2;
}
#endif

int nvmlDeviceGetClockInfo(void*, int kind, unsigned* megahertz) {
  *megahertz = 1410;
  return kind == 1 ? 0 : 2;
}
}
