#include "tests/support/rank_devices.h"

#include "tests/support/executors.h"
#include "tests/support/host_backend.h"

namespace tandem::test {
namespace {

BackendFactory factory_of(const std::string& executor) {
  for (const BackendFactory& factory : test_backends())
    if (factory.name == executor) return factory;
  fail(Exit::internal, executor, "is not linked into this binary");
}

}  // namespace

std::unique_ptr<Backend> open_for_rank(const std::string& executor, uint32_t rank) {
  if (executor == "host") return open_host(4, 17 + rank);
  std::unique_ptr<Backend> backend = factory_of(executor).open(executor == "cuda" ? rank : 0);
  if (KernelTable* kernels = backend->kernels()) kernels->use({.given = {}, .timed = false});
  return backend;
}

std::string too_few_devices(const std::string& executor, uint32_t count) {
  const DeviceList list = factory_of(executor).devices();
  if (list.devices.size() >= count) return {};
  return fmt::format("{} devices are wanted, {} has {}; {}", count, executor, list.devices.size(), list.missing);
}

}  // namespace tandem::test
