// Runs that end with 5, and what is left of them to go on from.
#include <doctest/doctest.h>

#include <filesystem>
#include <map>
#include <sstream>

#include "core/train/checkpoint.h"
#include "tests/cli/run_place.h"

namespace tandem::test {
namespace {

constexpr int kDiverged = 5;

// a run in whose steps 6 to 8 no target counts, so that they are skipped
struct MaskedPlace : RunPlace {
  MaskedPlace() {
    std::vector<int32_t> tokens(16 * 24 + 1);
    for (size_t i = 0; i < tokens.size(); ++i) tokens[i] = int32_t((7 * i * i + i / 3) % 257);
    std::string mask((tokens.size() + 7) / 8, '\xff');
    for (size_t target = 5 * 32 + 1; target <= 8 * 32; ++target) mask[target / 8] &= char(~(1 << target % 8));
    write("masked.bin", llmq_v2(tokens, 257, mask));
  }
  Outcome masked(std::vector<std::string> more) const {
    more.insert(more.end(), {"--data.train=[\"masked.bin\"]", "--data.shuffle=false"});
    return train(more);
  }
};

std::vector<uint64_t> skipped_steps(const std::string& metrics) {
  std::vector<uint64_t> steps;
  std::istringstream lines(metrics);
  for (std::string line; std::getline(lines, line);)
    if (const Json json = parse_json(line, "metrics.jsonl"); json.value("skipped", false))
      steps.push_back(json["step"]);
  return steps;
}

std::map<std::string, std::string> tensor_hashes(const std::string& checkpoint) {
  std::map<std::string, std::string> hashes;
  const Checkpoint opened(checkpoint);
  for (const auto& [name, file] : opened.manifest().files) hashes.insert(file.hashes.begin(), file.hashes.end());
  return hashes;
}

TEST_CASE("a run that ended with 5 goes on under a larger run.max_skipped, to the bit, on vulkan") {
  const MaskedPlace place;
  REQUIRE(place.masked({"--run.directory=whole", "--run.max_skipped=4", "--checkpoint.every=1", "--checkpoint.keep=20"})
              .exit == 0);
  CHECK(skipped_steps(place.read("whole/metrics.jsonl")) == std::vector<uint64_t>{6, 7, 8});
  for (const auto& [every, keep, left] :
       {std::tuple{1, 20, std::vector<uint64_t>{6, 5, 4, 3, 2, 1}}, std::tuple{1, 1, std::vector<uint64_t>{6, 4}},
        std::tuple{3, 1, std::vector<uint64_t>{6, 3}}, std::tuple{5, 1, std::vector<uint64_t>{5}}}) {
    const std::string run = fmt::format("--run.directory=run-{}-{}", every, keep);
    CAPTURE(run);
    const auto train = [&, every = every, keep = keep](int most, std::vector<std::string> more) {
      more.insert(more.end(), {run, fmt::format("--checkpoint.every={}", every),
                               fmt::format("--checkpoint.keep={}", keep), fmt::format("--run.max_skipped={}", most)});
      return place.masked(more);
    };
    const std::string name = run.substr(run.find('=') + 1);
    CHECK(train(2, {}).exit == kDiverged);
    CHECK(skipped_steps(place.read(name + "/metrics.jsonl")) == std::vector<uint64_t>{6, 7});
    CHECK(checkpoint_steps(place.path(name + "/checkpoints")) == left);
    CHECK(train(2, {"--resume"}).exit == kDiverged);
    const Outcome o = train(4, {"--resume"});
    INFO(o.err);
    CHECK(o.exit == 0);
    CHECK((place.result(name) == place.result("whole")));
    CHECK(checkpoint_steps(place.path(name + "/checkpoints")).size() == std::min<size_t>(size_t(keep), 12));
  }
}

TEST_CASE("a skipped step changes no parameter, m, v or t, on vulkan") {
  const MaskedPlace place;
  REQUIRE(place.masked({"--checkpoint.every=1", "--checkpoint.keep=20"}).exit == 0);
  const auto at = [&](uint64_t step) { return place.path("run/checkpoints/" + checkpoint_name(step)); };
  const auto before = tensor_hashes(at(5));
  CHECK(before.size() > 20);
  for (const uint64_t step : {6, 7, 8}) {
    CHECK(tensor_hashes(at(step)) == before);
    CHECK(Checkpoint(at(step)).manifest().t == 5);
    CHECK(Checkpoint(at(step)).manifest().skipped == step - 5);
  }
  CHECK(Checkpoint(at(9)).manifest().t == 6);
  CHECK(Checkpoint(at(9)).manifest().skipped == 0);
  const auto after = tensor_hashes(at(9));
  for (const auto& [tensor, hash] : before) CHECK(after.at(tensor) != hash);
}

TEST_CASE("rotation does not take the last checkpoint from which a step could be done, on vulkan") {
  const RunPlace place;
  // each update multiplies every matrix by about -999, until the gradient's norm overflows
  const std::vector<std::string> flags = {"--optimizer.weight_decay=1e5", "--checkpoint.every=1", "--checkpoint.keep=1",
                                          "--run.max_skipped=4", "--schedule.warmup_steps=0"};
  const Outcome o = place.train(flags);
  INFO(o.err);
  REQUIRE(o.exit == kDiverged);
  const std::vector<uint64_t> left = checkpoint_steps(place.path("run/checkpoints"));
  REQUIRE(left.size() == 2);
  CHECK(o.says(checkpoint_name(left[1])));
  const std::vector<uint64_t> skipped = skipped_steps(place.read("run/metrics.jsonl"));
  REQUIRE(skipped.size() == 4);
  CHECK(left[0] == skipped[2]);
  CHECK(left[1] == skipped[0] - 2);  // the step after it did the update that broke the model

  std::filesystem::remove_all(place.path("run/checkpoints/" + checkpoint_name(left[0])));
  std::vector<std::string> again = flags;
  again.push_back("--resume");
  const Outcome resumed = place.train(again);
  INFO(resumed.err);
  CHECK(resumed.exit == kDiverged);
  CHECK(resumed.says("resumed after step " + std::to_string(left[1])));
  CHECK(skipped_steps(place.read("run/metrics.jsonl")) == skipped);
}

}  // namespace
}  // namespace tandem::test
