#include "core/run/schedule.h"

#include <doctest/doctest.h>

namespace tandem {
namespace {

RunConfig config_of(uint64_t steps, uint64_t warmup, const char* kind, double final_fraction) {
  RunConfig config;
  config.schedule = {steps, warmup, kind, final_fraction};
  config.optimizer.learning_rate = 2e-3;
  return config;
}

TEST_CASE("learning rate: warm-up, then cosine, as a Python program computed it") {
  const RunConfig config = config_of(10, 3, "cosine", 0.1);
  const double expected[] = {0.0006666666666666666,
                             0.0013333333333333333,
                             0.002,
                             0.002,
                             0.0018794228634059948,
                             0.00155,
                             0.0011000000000000003,
                             0.0006500000000000001,
                             0.00032057713659400525,
                             0.0002};
  for (uint64_t s = 0; s < 10; ++s) CHECK(learning_rate(config, s) == doctest::Approx(expected[s]).epsilon(1e-14));
}

TEST_CASE("learning rate: linear and constant") {
  const RunConfig linear = config_of(5, 0, "linear", 0.5);
  for (uint64_t s = 0; s < 5; ++s) CHECK(learning_rate(linear, s) == doctest::Approx(2e-3 - 0.25e-3 * double(s)));
  const RunConfig constant = config_of(5, 2, "constant", 0.0);
  CHECK(learning_rate(constant, 0) == doctest::Approx(1e-3));
  for (uint64_t s = 1; s < 5; ++s) CHECK(learning_rate(constant, s) == 2e-3);
}

TEST_CASE("learning rate: as many warm-up steps as steps, or more, or one step in all") {
  CHECK(learning_rate(config_of(4, 4, "cosine", 0.0), 3) == 2e-3);
  CHECK(learning_rate(config_of(4, 8, "cosine", 0.0), 3) == doctest::Approx(1e-3));
  CHECK(learning_rate(config_of(5, 4, "cosine", 0.0), 4) == 2e-3);  // p = 0 / max(1, 0)
  CHECK(learning_rate(config_of(1, 0, "linear", 0.0), 0) == 2e-3);
}

}  // namespace
}  // namespace tandem
