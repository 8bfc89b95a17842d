// Runs of several ranks, as a user starts them: threads, processes, and what becomes of them when one is stopped or
// killed.
#include <doctest/doctest.h>
#include <signal.h>

#include <chrono>
#include <sstream>

#include "tests/cli/run_place.h"

namespace tandem::test {
namespace {

std::vector<std::string> shared(uint32_t ranks, uint32_t zero, const std::string& run) {
  return {fmt::format("--distributed.devices={}", ranks), fmt::format("--distributed.zero={}", zero),
          "--batch.micro_batch=1", fmt::format("--batch.gradient_accumulation={}", 4 / ranks),
          "--run.directory=" + run};
}

// How each of several processes ended.
struct Ranks {
  std::vector<int> exits;
  double seconds = 0;
};

// One process per rank, which meet at a file; then: what the shell does once they run.
Ranks run_processes(const RunPlace& place, uint32_t ranks, std::vector<std::string> keys,
                    const std::string& then = "") {
  std::string command;
  for (const std::string& key : keys) command += " " + key;
  std::string script;
  for (uint32_t r = 0; r < ranks; ++r)
    script += fmt::format(
        "TANDEM_RANK={} TANDEM_WORLD_SIZE={} TANDEM_LOCAL_RANK={} \"$TANDEM_EXECUTABLE\" train c.toml{} "
        "2>rank{}.err & p{}=$!\n",
        r, ranks, r, command, r, r);
  script += then + "\n";
  for (uint32_t r = 0; r < ranks; ++r) script += fmt::format("wait $p{}; echo $?\n", r);
  const auto start = std::chrono::steady_clock::now();
  const Outcome o = place.run("/bin/sh", {"-c", script});
  Ranks ended;
  ended.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  std::istringstream lines(o.out);
  for (int exit; lines >> exit;) ended.exits.push_back(exit);
  return ended;
}

TEST_CASE("threads and processes give the same bytes on vulkan") {
  const RunPlace place("fp8");
  for (const auto& [ranks, zero] : {std::pair(2u, 1u), {4u, 3u}}) {
    CAPTURE(ranks);
    const std::string threads = fmt::format("threads{}", ranks), processes = fmt::format("processes{}", ranks);
    const Outcome o = place.train(shared(ranks, zero, threads));
    INFO(o.err);
    REQUIRE(o.exit == 0);
    const Ranks ended = run_processes(place, ranks, shared(ranks, zero, processes));
    INFO(place.read("rank0.err"));
    REQUIRE(ended.exits == std::vector<int>(ranks, 0));
    CHECK((place.result(threads) == place.result(processes)));
    CHECK(place.read("rank1.err") == "");
    const Json plan = parse_json(place.read(processes + "/plan.json"), "plan.json");
    CHECK(plan.at("world").at("ranks") == ranks);
    CHECK(plan.at("world").at("zero") == zero);
    CHECK(plan.at("world").at("collectives") == "host");
  }
}

TEST_CASE("a run of ranks, stopped and resumed, ends to the bit as one that was not, on vulkan") {
  for (const char* recipe : {"bf16", "fp8"}) {
    const RunPlace place(recipe);
    REQUIRE(place.train(shared(2, 2, "whole")).exit == 0);
    const Outcome stopped = place.train(shared(2, 2, "run"), fmt::format("write:7:s{}:metrics.jsonl", SIGTERM));
    INFO(stopped.err);
    CHECK(stopped.exit == kStopped);
    std::vector<std::string> resume = shared(2, 2, "run");
    resume.emplace_back("--resume");
    CHECK(place.train(resume).exit == 0);
    CHECK((place.result("run") == place.result("whole")));
  }
}

TEST_CASE("a run goes on with another number of ranks on vulkan") {
  const RunPlace place("bf16");
  CHECK(place.train(shared(4, 3, "run"), fmt::format("write:7:s{}:metrics.jsonl", SIGTERM)).exit == kStopped);
  std::vector<std::string> two = shared(2, 1, "run"), three = shared(3, 1, "run");
  two.emplace_back("--resume");
  three.emplace_back("--resume");
  const Outcome refused = place.train(three);
  CHECK(refused.exit == 2);
  CHECK(refused.says("distributed.devices"));
  const Outcome resumed = place.train(two);
  INFO(resumed.err);
  CHECK(resumed.exit == 0);
  CHECK(resumed.says("distributed.devices was 4 and is 2"));
  CHECK(place.read("run/metrics.jsonl").find("\"step\":12") != std::string::npos);
}

TEST_CASE("the others end when a rank is killed, and the run goes on, on vulkan") {
  const RunPlace place("bf16");
  std::vector<std::string> keys = shared(2, 1, "run");
  keys.emplace_back("--schedule.steps=100000");
  keys.emplace_back("--checkpoint.every=5");
  const Ranks ended = run_processes(place, 2, keys,
                                    "while kill -0 $p0 && ! [ -e run/checkpoints/step_00000005 ]; do sleep 0.1; done\n"
                                    "kill -KILL $p1; date +%s >killed");
  REQUIRE(ended.exits == std::vector<int>{6, 128 + SIGKILL});
  const std::string said = place.read("rank0.err");
  CHECK(said.find("tandem: [rank 0] rank 1 is gone") != std::string::npos);
  keys = shared(2, 1, "run");
  keys.emplace_back("--schedule.steps=100000");
  keys.emplace_back("--checkpoint.every=5");
  keys.emplace_back("--resume");
  const Ranks stopped = run_processes(
      place, 2, keys, "while kill -0 $p0 && ! grep -q '^step ' rank0.err; do sleep 0.1; done\nkill -TERM $p1");
  CHECK(stopped.exits == std::vector<int>{kStopped, kStopped});
}

TEST_CASE("ranks of other configurations or numbers are refused on vulkan") {
  const RunPlace place("bf16");
  const Outcome size = place.run("/bin/sh", {"-c",
                                             "TANDEM_RANK=0 TANDEM_WORLD_SIZE=3 \"$TANDEM_EXECUTABLE\" train c.toml "
                                             "--distributed.devices=2"});
  CHECK(size.exit == 2);
  CHECK(size.says("distributed.devices"));
  const Outcome copy = place.train({"--distributed.devices=2", "--distributed.collectives=nccl"});
  CHECK(copy.exit == 2);
  CHECK(copy.says("distributed.collectives"));
}

}  // namespace
}  // namespace tandem::test
