// A save with a failure, or a kill, at each of its calls in turn: a sound checkpoint is always there afterwards.
#include <doctest/doctest.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>

#include "core/run/checkpoint.h"
#include "core/run/resume.h"
#include "tests/support/small_disk.h"
#include "tests/support/temporary.h"

namespace tandem {
namespace {

std::string from_environment(const char* name) {
  const char* value = std::getenv(name);
  TANDEM_CHECK(value != nullptr, "{} is not set; run the tests through meson test", name);
  return value;
}

struct Fault {
  std::string what;             // as tests/faults/fault.cpp reads it
  std::string mark;             // a file that shows whether it struck
  void (*prepare)() = nullptr;  // called in the process before the helper starts
};

// the exit code, or minus the signal
int run_helper(const std::string& directory, const std::string& last, const Fault& fault = {}) {
  const std::string program = from_environment("TANDEM_SAVE_HELPER");
  const std::string library = from_environment("TANDEM_FAULT_LIBRARY");
  const pid_t child = fork();
  TANDEM_CHECK(child >= 0, "no process for {}", program);
  if (child == 0) {
    if (!fault.what.empty()) setenv("LD_PRELOAD", library.c_str(), 1);
    setenv("TANDEM_FAULT", fault.what.c_str(), 1);
    if (!fault.mark.empty()) setenv("TANDEM_FAULT_MARK", fault.mark.c_str(), 1);
    if (dup2(::open("/dev/null", O_WRONLY | O_CLOEXEC), STDERR_FILENO) < 0) _exit(126);
    if (fault.prepare) fault.prepare();
    execl(program.c_str(), program.c_str(), directory.c_str(), last.c_str(), nullptr);
    _exit(127);
  }
  int status = 0;
  TANDEM_CHECK(waitpid(child, &status, 0) == child, "{} cannot be run", program);
  return WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status);
}

// at least one is there, and whole
void check_sound(const std::string& checkpoints) {
  const std::vector<uint64_t> left = checkpoint_steps(checkpoints);
  CHECK_FALSE(left.empty());
  for (const uint64_t step : left)  // under its name only when whole
    CHECK(Checkpoint(checkpoints + "/" + checkpoint_name(step)).manifest().step == step);
}

void check_goes_on(const std::string& checkpoints) {
  CHECK(run_helper(checkpoints, "12") == 0);
  CHECK(newest_checkpoint(checkpoints).manifest().step == 12);
  for (const auto& entry : std::filesystem::directory_iterator(checkpoints))
    CHECK(entry.path().filename().string().starts_with("step_"));  // no drafts stay
}

// Faults at the first, second, ... call on a path with `part` under the directory until none is left; returns how many
// there were.
int fault_each(const std::string& call, const std::string& what, std::initializer_list<int> expected,
               const std::string& part = "") {
  for (int n = 1; n < 1000; ++n) {
    const test::TemporaryDirectory place;
    const std::string checkpoints = place / "checkpoints";
    REQUIRE(run_helper(checkpoints, "4") == 0);
    const Fault fault{fmt::format("{}:{}:{}:{}", call, n, what, checkpoints + part), place / "struck"};
    const int exit = run_helper(checkpoints, "12", fault);
    INFO("fault ", fault.what, ", exit ", exit);
    if (!file_exists(fault.mark)) {
      CHECK(exit == 0);
      return n - 1;
    }
    CHECK(std::count(expected.begin(), expected.end(), exit) == 1);
    check_sound(checkpoints);
    check_goes_on(checkpoints);
  }
  FAIL("the calls do not end");
  return 0;
}

constexpr int kStorage = int(Exit::storage);

TEST_CASE("a save that is killed at any of its calls leaves sound checkpoints, and the next one succeeds") {
  for (const char* call : {"open", "write", "fsync", "close", "rename", "mkdir", "unlink"}) {
    const int faults = fault_each(call, fmt::format("s{}", SIGKILL), {-SIGKILL});
    MESSAGE("killed at each ", std::string(call), ": ", faults);
    CHECK(faults > 0);
  }
}

TEST_CASE("a save whose write, sync, rename or mkdir fails exits with 7 and leaves sound checkpoints") {
  for (const char* call : {"write", "fsync", "rename", "mkdir", "unlink"})
    for (const int error : {EIO, ENOSPC}) {
      const int faults = fault_each(call, fmt::format("{}", error), {kStorage});
      MESSAGE(std::string(call), " failed with ", error, ": ", faults);
      CHECK(faults > 0);
    }
}

TEST_CASE("a save whose open or close fails exits with 7 and leaves sound checkpoints") {
  // a draft's files are closed once written, and once read back, where a failure loses nothing
  CHECK(fault_each("open", fmt::format("{}", EMFILE), {kStorage}, "/.tmp-step_") > 0);
  const int closes = fault_each("close", fmt::format("{}", EIO), {kStorage, 0}, "/.tmp-step_");
  CHECK(closes > 0);
  int failed = 0;
  for (int n = 1; n <= closes; ++n) {
    const test::TemporaryDirectory place;
    const std::string checkpoints = place / "checkpoints";
    failed += run_helper(checkpoints, "4", {fmt::format("close:{}:{}:/.tmp-step_", n, EIO), ""}) == kStorage;
  }
  CHECK(failed == 3);  // a save's two tensor files and its manifest
}

TEST_CASE("a directory that vanishes in a save ends it with 7") {
  for (const char* call : {"open", "mkdir", "rename"}) {
    const test::TemporaryDirectory place;
    const std::string checkpoints = place / "checkpoints";
    REQUIRE(run_helper(checkpoints, "4") == 0);
    CAPTURE(call);
    CHECK(run_helper(checkpoints, "12", {fmt::format("{}:1:v:{}", call, checkpoints + "/.tmp-step_00000008"), ""}) ==
          kStorage);
    check_goes_on(checkpoints);  // from the start, where all was taken away
  }
}

TEST_CASE("a read-only directory ends a save with 7, and what is there stays") {
  const test::TemporaryDirectory place;
  const std::string checkpoints = place / "checkpoints";
  REQUIRE(run_helper(checkpoints, "4") == 0);
  Fault fault;
  fault.prepare = [] {  // root may write anywhere, unless it gives that up
    if (geteuid() == 0 && prctl(PR_CAPBSET_DROP, CAP_DAC_OVERRIDE) != 0) _exit(126);
  };
  REQUIRE(chmod(checkpoints.c_str(), 0555) == 0);
  const int exit = run_helper(checkpoints, "12", fault);
  REQUIRE(chmod(checkpoints.c_str(), 0755) == 0);
  CHECK(exit == kStorage);
  CHECK(checkpoint_steps(checkpoints) == std::vector<uint64_t>{4});
  check_sound(checkpoints);
  check_goes_on(checkpoints);
}

TEST_CASE("a limit on the size of files ends a save with 7, and what is there stays") {
  const test::TemporaryDirectory place;
  const std::string checkpoints = place / "checkpoints";
  REQUIRE(run_helper(checkpoints, "4") == 0);
  Fault fault;
  fault.prepare = [] {
    const rlimit limit{256, 256};
    if (signal(SIGXFSZ, SIG_IGN) == SIG_ERR || setrlimit(RLIMIT_FSIZE, &limit) != 0) _exit(126);
  };
  CHECK(run_helper(checkpoints, "12", fault) == kStorage);
  CHECK(checkpoint_steps(checkpoints) == std::vector<uint64_t>{4});
  check_sound(checkpoints);
  check_goes_on(checkpoints);
}

TEST_CASE("a save that finds it full exits with 7, and what is there stays, on a small disk") {
  struct Disk {
    const char* options;
    bool fills;  // it is full once the free space was checked, by another's file
  };
  for (const auto& [options, fills] : {Disk{"size=1200k,nr_inodes=99", false}, Disk{"size=4m,nr_inodes=9", false},
                                       Disk{"size=1600k,nr_inodes=99", true}}) {
    const test::TemporaryDirectory place;
    const test::SmallDisk disk(options);
    CAPTURE(options);
    const std::string checkpoints = disk / "checkpoints", filler = disk / "filler";
    REQUIRE(run_helper(checkpoints, "4") == 0);
    write_file_synced(filler, std::string(300 << 10, 'x'));
    const Fault full{"write:2:f" + (disk / "other") + ":.tmp-step_00000008", place / "struck"};
    CHECK(run_helper(checkpoints, "12", fills ? full : Fault{}) == kStorage);
    CHECK(file_exists(full.mark) == fills);
    CHECK(checkpoint_steps(checkpoints) == std::vector<uint64_t>{4});
    check_sound(checkpoints);
    disk.resize("size=4m,nr_inodes=99");
    check_goes_on(checkpoints);
  }
}

}  // namespace
}  // namespace tandem
