// main of every test binary. Where TANDEM_TEST_EXECUTOR names an executor that has no device here, the binary is
// skipped (exit 77, Meson's word for it); "small_disk" is one, for tests that mount a file system, "mpirun" one for
// those that start it, "cuda_ranks" one for those that want two GPUs. With the environment variable CI set, a missing
// Vulkan device is a failure: software Vulkan runs anywhere.
#include <doctest/doctest.h>
#include <fmt/format.h>

#include <cstdlib>

#include "tests/support/executors.h"
#include "tests/support/rank_devices.h"
#include "tests/support/small_disk.h"

namespace {

constexpr int kSkipped = 77;

// why the executor cannot run here; empty if it can
std::string missing(const std::string& executor) {
  if (executor == "small_disk") return tandem::test::SmallDisk::missing();
  if (executor == "mpirun") return std::system("command -v mpirun >/dev/null") == 0 ? "" : "mpirun is not installed";
  if (executor == "cuda_ranks") return tandem::test::too_few_devices("cuda", 2);
  for (const tandem::BackendFactory& factory : tandem::test::test_backends())
    if (factory.name == executor) return factory.devices().missing;
  return "not linked into this binary";
}

}  // namespace

int main(int argc, char** argv) {
  doctest::Context context(argc, argv);
  if (const char* executor = std::getenv("TANDEM_TEST_EXECUTOR")) {
    if (const std::string reason = missing(executor); !reason.empty()) {
      const char* count = "--count";  // tools/test_summary.py reads how many cases are skipped
      context.applyCommandLine(1, &count);
      context.run();
      fmt::print("no {} device: {}\n", executor, reason);
      const char* ci = std::getenv("CI");
      return ci && *ci && executor == std::string("vulkan") ? EXIT_FAILURE : kSkipped;
    }
  }
  return context.run();
}
