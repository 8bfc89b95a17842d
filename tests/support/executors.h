// The executors that tests run on: host, and the backends that are linked.
#pragma once

#include <doctest/doctest.h>

#include "core/runtime/backend.h"

namespace tandem::test {

// the backends that are linked: all executors but host
std::vector<BackendFactory> test_backends();

// The executor's first device, opened once. Exit::device where there is none, Exit::internal for an unknown name.
Backend& executor(std::string_view name);

}  // namespace tandem::test

// A test case per executor: function(Backend&), any arguments behind.
#define TANDEM_ON(executor_name, name, function, ...)                             \
  TEST_CASE(name " on " executor_name) {                                          \
    function(::tandem::test::executor(executor_name) __VA_OPT__(, ) __VA_ARGS__); \
  }
#ifdef TANDEM_VULKAN
#define TANDEM_ON_VULKAN(...) TANDEM_ON("vulkan", __VA_ARGS__)
#else
#define TANDEM_ON_VULKAN(...)
#endif
#ifdef TANDEM_CUDA
#define TANDEM_ON_CUDA(...) TANDEM_ON("cuda", __VA_ARGS__)
#else
#define TANDEM_ON_CUDA(...)
#endif
#define ON_EXECUTORS(...)             \
  TANDEM_ON("host", __VA_ARGS__)      \
  TANDEM_ON("cuda_host", __VA_ARGS__) \
  TANDEM_ON_VULKAN(__VA_ARGS__)       \
  TANDEM_ON_CUDA(__VA_ARGS__)
