// Planted defects that the executor itself finds, and the same kernels without them.
#include <doctest/doctest.h>

#include <set>
#include <string>
#include <vector>

#include "core/base/error.h"
#include "tests/cuda_host/defects.h"
#include "tests/support/cuda_host/executor.h"

namespace tandem::test {
namespace {

using cuda_host::Order;

size_t different_results(uint64_t (*run)()) {
  std::set<uint64_t> results;
  for (const Order order : cuda_host::kOrders) {
    cuda_host::set_order(order);
    results.insert(run());
  }
  cuda_host::set_order(Order::forward);
  return results.size();
}

std::string refusal(uint64_t (*run)()) {
  try {
    run();
    return "";
  } catch (const Error& e) {
    return e.what();
  }
}

}  // namespace

TEST_CASE("cuda_host: a kernel that relies on an order of its threads gives other bits in another one") {
  for (const std::string name :
       {"missing_syncthreads", "missing_syncthreads_before_reuse", "missing_syncwarp", "missing_copy_wait",
        "copy_wait_for_the_wrong_group", "two_writers", "blocks_in_a_row"}) {
    CAPTURE(name);
    CHECK(different_results(defect(name).planted) > 1);
    CHECK(different_results(defect(name).fixed) == 1);
  }
}

TEST_CASE("cuda_host: misuse of barriers and warps is refused, naming the place") {
  const std::string file = "tests/cuda_host/defects.cpp:";  // behind the way from the build folder to the sources
  const std::pair<std::string, std::vector<std::string>> expected[] = {
      {"barriers_on_two_lines", {"__syncthreads, where others wait at the one of ", file}},
      {"return_before_barrier", {"block (0,0,0) is stuck: 24 of 64 threads have returned, 40 wait at __syncthreads"}},
      {"shuffle_of_half_a_warp", {"of warp 0 lanes aaaaaaaa wait at ", file}},
      {"shuffle_outside_its_mask", {"a mask other than all 32 lanes, in block (0,0,0) thread (0,0,0)"}},
      {"shuffle_from_lane_32", {"a shuffle from a lane above 31"}},
      {"misaligned_matrix_row", {"an address that is not a multiple of 16"}},
  };
  for (const auto& e : expected) {
    const auto& name = e.first;
    CAPTURE(name);
    const std::string what = refusal(defect(name).planted);
    INFO(what);
    for (const std::string& part : e.second) CHECK(what.find(part) != std::string::npos);
    CHECK(refusal(defect(name).fixed) == "");  // also: the next launch runs as if nothing had happened
  }
}

}  // namespace tandem::test
