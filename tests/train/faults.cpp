// A save with a failure, or a kill, at each of its calls in turn: a sound checkpoint is always there afterwards.
#include <doctest/doctest.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>

#include <cstdlib>
#include <filesystem>

#include "core/train/checkpoint.h"
#include "core/train/resume.h"
#include "tests/support/temporary.h"

namespace tandem {
namespace {

std::string from_environment(const char* name) {
  const char* value = std::getenv(name);
  TANDEM_CHECK(value != nullptr, "{} is not set; run the tests through meson test", name);
  return value;
}

// the exit code, or minus the signal
int run_helper(const std::string& directory, const std::string& last, const std::string& fault = "") {
  std::string program = from_environment("TANDEM_SAVE_HELPER"), argument = directory, step = last;
  std::string preload = "LD_PRELOAD=" + from_environment("TANDEM_FAULT_LIBRARY"), what = "TANDEM_FAULT=" + fault;
  char* arguments[] = {program.data(), argument.data(), step.data(), nullptr};
  char* environment[] = {preload.data(), what.data(), nullptr};
  posix_spawn_file_actions_t quiet;
  posix_spawn_file_actions_init(&quiet);
  posix_spawn_file_actions_addopen(&quiet, 2, "/dev/null", O_WRONLY, 0);
  pid_t child = 0;
  const int error =
      posix_spawn(&child, program.c_str(), &quiet, nullptr, arguments, fault.empty() ? environment + 2 : environment);
  posix_spawn_file_actions_destroy(&quiet);
  int status = 0;
  TANDEM_CHECK(error == 0 && waitpid(child, &status, 0) == child, "{} cannot be run", program);
  return WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status);
}

// Faults at the first, second, ... call until none is left; returns how many there were.
int fault_each(const std::string& call, const std::string& what, int expected) {
  for (int n = 1; n < 1000; ++n) {
    const test::TemporaryDirectory place;
    const std::string checkpoints = place / "checkpoints";
    REQUIRE(run_helper(checkpoints, "4") == 0);
    const std::string fault = fmt::format("{}:{}:{}:{}", call, n, what, checkpoints);
    const int exit = run_helper(checkpoints, "12", fault);
    if (exit == 0) return n - 1;
    INFO("fault ", fault);
    CHECK(exit == expected);
    const std::vector<uint64_t> left = checkpoint_steps(checkpoints);
    CHECK_FALSE(left.empty());
    for (const uint64_t step : left)  // under its name only when whole
      CHECK(Checkpoint(checkpoints + "/" + checkpoint_name(step)).manifest().step == step);
    CHECK(run_helper(checkpoints, "12") == 0);
    CHECK(newest_checkpoint(checkpoints).manifest().step == 12);
    for (const auto& entry : std::filesystem::directory_iterator(checkpoints))
      CHECK(entry.path().filename().string().starts_with("step_"));  // no drafts stay
  }
  FAIL("the calls do not end");
  return 0;
}

TEST_CASE("a save that is killed at any of its calls leaves sound checkpoints, and the next one succeeds") {
  for (const char* call : {"open", "write", "fsync", "close", "rename", "mkdir", "unlink"}) {
    const int faults = fault_each(call, fmt::format("s{}", SIGKILL), -SIGKILL);
    MESSAGE("killed at each ", std::string(call), ": ", faults);
    CHECK(faults > 0);
  }
}

TEST_CASE("a save whose write, sync, rename or mkdir fails exits with 7 and leaves sound checkpoints") {
  for (const char* call : {"write", "fsync", "rename", "mkdir", "unlink"})
    for (const int error : {EIO, ENOSPC}) {
      const int faults = fault_each(call, fmt::format("{}", error), int(Exit::storage));
      MESSAGE(std::string(call), " failed with ", error, ": ", faults);
      CHECK(faults > 0);
    }
}

}  // namespace
}  // namespace tandem
