// Runs that end with 5, and what is left of them to go on from.
#include <doctest/doctest.h>

#include <cstring>
#include <filesystem>
#include <limits>
#include <map>
#include <sstream>

#include "core/run/checkpoint.h"
#include "tests/cli/run_place.h"

namespace tandem::test {
namespace {

constexpr int kDiverged = 5;

constexpr size_t kWindow = 16;

// below 256, for the windows of 12 steps
std::vector<int32_t> plain_tokens() {
  std::vector<int32_t> tokens(kWindow * 24 + 1);
  for (size_t i = 0; i < tokens.size(); ++i) tokens[i] = int32_t((7 * i * i + i / 3) % 256);
  return tokens;
}

// a run in whose steps 6 to 8 no target counts, so that they are skipped
struct MaskedPlace : RunPlace {
  MaskedPlace() {
    const std::vector<int32_t> tokens = plain_tokens();
    std::string mask((tokens.size() + 7) / 8, '\xff');
    for (size_t target = 5 * 2 * kWindow + 1; target <= 8 * 2 * kWindow; ++target)
      mask[target / 8] &= char(~(1 << target % 8));
    write("masked.bin", llmq_v2(tokens, 257, mask));
  }
  Outcome run_skipping(std::vector<std::string> more) const {
    more.insert(more.end(), {"--data.train=[\"masked.bin\"]", "--data.shuffle=false"});
    return train(more);
  }
};

// a run in whose steps 6 to 8 a token stands whose embedding is NaN, so that they are skipped
struct PoisonedPlace : RunPlace {
  PoisonedPlace() {
    std::vector<int32_t> tokens = plain_tokens();
    for (const size_t step : {5, 6, 7}) tokens[step * 2 * kWindow + 3] = 256;
    write("poisoned.bin", llmq_v2(tokens, 257));
    write_model("model", {{"tie_word_embeddings", false}});
    REQUIRE(train({"--schedule.steps=1", "--run.directory=first"}).exit == 0);
    std::filesystem::rename(path("first/model"), path("poisoned"));
    std::string weights = read("poisoned/model.safetensors");
    uint64_t header = 0;
    std::memcpy(&header, weights.data(), sizeof header);
    const Json tensors = parse_json(std::string_view(weights).substr(8, header), "header");
    const size_t begin = 8 + header + tensors.at("model.embed_tokens.weight").at("data_offsets").at(0).get<size_t>();
    const std::vector<float> row(32, std::numeric_limits<float>::quiet_NaN());
    std::memcpy(weights.data() + begin + 256 * row.size() * sizeof(float), row.data(), row.size() * sizeof(float));
    write("poisoned/model.safetensors", weights);
  }
  Outcome run_skipping(std::vector<std::string> more) const {
    more.insert(more.end(), {"--data.train=[\"poisoned.bin\"]", "--data.shuffle=false", "--data.eval=[]",
                             "--model.path=poisoned", "--model.from_scratch=false"});
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
  const PoisonedPlace place;
  REQUIRE(place
              .run_skipping(
                  {"--run.directory=whole", "--run.max_skipped=4", "--checkpoint.every=1", "--checkpoint.keep=20"})
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
      return place.run_skipping(more);
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

// counted: how many steps in a row the checkpoint behind step 8 holds
template <typename Place>
void check_nothing_changes(const Place& place, uint64_t counted) {
  REQUIRE(place.run_skipping({"--checkpoint.every=1", "--checkpoint.keep=20"}).exit == 0);
  const auto at = [&](uint64_t step) { return place.path("run/checkpoints/" + checkpoint_name(step)); };
  const auto before = tensor_hashes(at(5));
  CHECK(before.size() > 20);
  for (const uint64_t step : {6, 7, 8}) {
    CHECK(tensor_hashes(at(step)) == before);
    CHECK(Checkpoint(at(step)).manifest().t == 5);
  }
  CHECK(Checkpoint(at(8)).manifest().skipped == counted);
  CHECK(Checkpoint(at(9)).manifest().t == 6);
  CHECK(Checkpoint(at(9)).manifest().skipped == 0);
  const auto after = tensor_hashes(at(9));
  for (const auto& [tensor, hash] : before) CHECK(after.at(tensor) != hash);
}

TEST_CASE("a skipped step changes no parameter, m, v or t, on vulkan") {
  SUBCASE("without targets") {
    check_nothing_changes(MaskedPlace(), 0);
  }
  SUBCASE("without a finite loss") {
    check_nothing_changes(PoisonedPlace(), 3);
  }
}

TEST_CASE("steps without targets have neither loss nor norm, and do not count as diverged, on vulkan") {
  const MaskedPlace place;
  const Outcome o = place.run_skipping({"--run.max_skipped=1"});
  INFO(o.err);
  REQUIRE(o.exit == 0);
  CHECK(o.says("step 7: no target counts"));
  const std::string metrics = place.read("run/metrics.jsonl");
  CHECK(skipped_steps(metrics) == std::vector<uint64_t>{6, 7, 8});
  std::istringstream lines(metrics);
  for (std::string line; std::getline(lines, line);) {
    const Json json = parse_json(line, "metrics.jsonl");
    if (json.contains("eval")) continue;
    const bool skipped = json.at("skipped");
    for (const char* key : {"loss", "grad_norm"}) CHECK(json.at(key).is_null() == skipped);
    CHECK((json.at("targets") == 0) == skipped);
  }
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
