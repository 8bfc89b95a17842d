// Planted defects that sanitizers find in kernels, and no alarm without one. Each runs in a process of its own.
#include <doctest/doctest.h>
#include <fmt/format.h>

#include <cstdio>
#include <cstdlib>

#include "tests/cuda_host/defects.h"

namespace tandem::test {
namespace {

struct Outcome {
  int status = -1;
  std::string output;
};

// variable: names the program, which the build sets
Outcome run_sanitized(const char* variable, const std::string& name, const char* variant) {
  const char* program = std::getenv(variable);
  REQUIRE_MESSAGE(program != nullptr, variable << " does not name the program; run by meson test");
  const std::string command = fmt::format("'{}' {} {} 2>&1", program, name, variant);
  FILE* const pipe = popen(command.c_str(), "r");
  REQUIRE(pipe != nullptr);
  Outcome outcome;
  char part[4096];
  for (size_t n; (n = fread(part, 1, sizeof part, pipe)) > 0;) outcome.output.append(part, n);
  outcome.status = pclose(pipe);
  return outcome;
}

// the report holds all of these words
void check_found(const char* variable, const std::string& name, const std::vector<std::string>& words) {
  CAPTURE(name);
  const Outcome planted = run_sanitized(variable, name, "planted");
  CHECK(planted.status != 0);
  for (const std::string& word : words) {
    INFO(planted.output);
    CHECK(planted.output.find(word) != std::string::npos);
  }
}

}  // namespace

TEST_CASE("cuda_host: ASan finds accesses out of bounds, to the byte, and UBSan misaligned ones") {
  const char* const program = "TANDEM_RUN_DEFECT_ADDRESS";
  check_found(program, "global_off_by_one", {"heap-buffer-overflow", "0 bytes", "defects.cpp:"});
  check_found(program, "dynamic_shared_off_by_one", {"heap-buffer-overflow", "0 bytes", "defects.cpp:"});
  check_found(program, "copy_past_the_end", {"heap-buffer-overflow", "0 bytes"});
  check_found(program, "misaligned_vector", {"misaligned address", "defects.cpp:"});
  for (const char* name : {"static_shared_off_by_one", "register_array_off_by_one"})  // either sanitizer may be first
    check_found(program, name, {"defects.cpp:"});
}

TEST_CASE("cuda_host: TSan finds what is not ordered by a barrier, whatever the order of the run") {
  for (const char* name : {"missing_syncthreads", "missing_syncthreads_before_reuse", "missing_syncwarp",
                           "shuffle_for_syncwarp", "missing_copy_wait", "copy_wait_for_the_wrong_group", "two_writers"})
    check_found("TANDEM_RUN_DEFECT_THREAD", name, {"data race", "defects.cpp:"});
}

TEST_CASE("cuda_host: no kernel without a defect raises an alarm") {
  for (const Defect& d : defects())
    for (const char* program : {"TANDEM_RUN_DEFECT_ADDRESS", "TANDEM_RUN_DEFECT_THREAD"}) {
      CAPTURE(d.name);
      const Outcome outcome = run_sanitized(program, d.name, "fixed");
      INFO(outcome.output);
      CHECK(outcome.status == 0);
    }
}

}  // namespace tandem::test
