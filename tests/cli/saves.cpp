// Checkpoints that are written while training goes on: the write is held until a file `go` is there.
#include <doctest/doctest.h>
#include <signal.h>

#include <filesystem>
#include <map>
#include <set>
#include <sstream>

#include "core/model/safetensors.h"
#include "core/run/checkpoint.h"
#include "tests/cli/run_place.h"

namespace tandem::test {
namespace {

namespace fs = std::filesystem;
using Words = std::vector<std::string>;

const Words kAll = {"--checkpoint.keep=9"};

// A run of 12 steps that saves every 4. Its directory is "run".
struct SavePlace : RunPlace {
  using RunPlace::RunPlace;

  static Words with(Words keys, const Words& more) {
    keys.insert(keys.end(), more.begin(), more.end());
    return keys;
  }
  Outcome whole(const Words& keys) const {
    const Outcome o = train(keys);
    INFO(o.err);
    REQUIRE(o.exit == 0);
    return o;
  }

  // What became of a run whose write of a checkpoint was held.
  struct Held {
    int exit = 0;
    bool struck = false;          // the write had begun when it was held
    uint64_t steps = 0;           // with lines, while it was held
    std::set<std::string> there;  // in checkpoints/, meanwhile
    std::string err;
  };
  // Holds a write below `part` until there are `steps` lines of steps, or half a minute has passed. Then the shell runs
  // `then`, in which $p is the process, and the write goes on.
  Held held(const Words& keys, const std::string& part, uint64_t steps, const std::string& then = "") const {
    for (const char* old : {"go", "go.new", "struck"}) fs::remove(path(old));
    std::string command;
    for (const std::string& key : keys) command += " '" + key + "'";
    const std::string script = fmt::format(
        "LD_PRELOAD=\"$TANDEM_FAULT_LIBRARY\" TANDEM_FAULT=write:2:wgo:{} TANDEM_FAULT_MARK=struck "
        "\"$TANDEM_EXECUTABLE\" train c.toml{} 2>err & p=$!\n"
        "n=0; until [ -e struck ] && grep -q '\"step\":{},' run/metrics.jsonl || [ $n = 600 ]; do\n"
        "  n=$((n + 1)); sleep 0.05\ndone\n"
        "{}\n"
        "[ -e struck ] && echo 1 || echo 0; grep -c grad_norm run/metrics.jsonl; ls -A run/checkpoints | tr '\\n' ' '; "
        "echo\n"
        "[ -e go.new ] || : >go.new; mv go.new go; wait $p; echo $?\n",
        part, command, steps, then);
    std::istringstream out(run("/bin/sh", {"-c", script}).out);
    Held held;
    out >> held.struck >> held.steps;
    std::string names;
    std::getline(out >> std::ws, names);
    std::istringstream each(names);
    for (std::string name; each >> name;) held.there.insert(name);
    for (int exit; out >> exit;) held.exit = exit;
    held.err = read("err");
    return held;
  }

  // The files of a checkpoint; of its manifest what the keys of memory do not change.
  std::map<std::string, std::string> checkpoint(const std::string& run, uint64_t step) const {
    std::map<std::string, std::string> files;
    const std::string directory = run + "/checkpoints/" + checkpoint_name(step);
    for (const auto& entry : fs::directory_iterator(path(directory))) {
      const std::string name = entry.path().filename().string();
      files[name] = read(directory + "/" + name);
    }
    Json manifest = parse_json(files.at("manifest.json"), "manifest.json");
    manifest.erase("config");
    manifest.erase("manifest_xxh3");
    files["manifest.json"] = manifest.dump();
    return files;
  }
  uint64_t bytes_of_tensors(uint64_t step) const {
    uint64_t bytes = 0;
    for (const auto& entry : fs::directory_iterator(path("run/checkpoints/" + checkpoint_name(step))))
      if (entry.path().extension() == ".safetensors") {
        const TensorFile file(entry.path().string());
        for (const auto& [name, info] : file.tensors()) bytes += file.bytes(name).size();
      }
    return bytes;
  }
  Json plan() const { return parse_json(read("run/plan.json"), "plan.json"); }
};

struct Kind {
  const char* recipe;
  Words keys;
  nlohmann::ordered_json model = Json::object();
};

const Kind kKinds[] = {{"fp32", {}},
                       {"fp8", {"--memory.offload=[\"m\", \"v\", \"parameters\", \"gradients\", \"residuals\"]"}},
                       {"bf16",
                        {"--memory.offload=[\"m\", \"v\", \"master\", \"parameters\"]", "--optimizer.master_dtype=f32",
                         "--batch.micro_batch=1", "--batch.gradient_accumulation=2"},
                        {{"intermediate_size", 173}}},
                       {"bf16", {"--optimizer.m_dtype=e4m3", "--optimizer.v_dtype=e5m3"}},
                       {"bf16", {"--lora.rank=5", "--optimizer.master_dtype=f32"}},
                       {"bf16", {"--optimizer.clip_by=previous", "--memory.release_gradients=once"}}};

TEST_CASE("training goes on while a checkpoint is written, which has the bytes of one that it waits for, on vulkan") {
  for (const Kind& kind : kKinds) {
    CAPTURE(std::string(kind.recipe) + (kind.keys.empty() ? "" : kind.keys[0]));
    const SavePlace place(kind.recipe);
    place.write_model("model", kind.model);
    const Words keys = SavePlace::with(kind.keys, kAll);
    const auto o = place.held(keys, ".tmp-step_00000004", 8);
    INFO(o.err);
    CHECK(o.exit == 0);
    CHECK(o.struck);
    CHECK(o.steps == 8);  // the next save waits for the first one
    CHECK(o.there == std::set<std::string>{".tmp-step_00000004"});
    CHECK(o.err.find("saves: ") == std::string::npos);
    CHECK(o.err.find("s; training waited for ") != std::string::npos);
    CHECK(place.read("run/metrics.jsonl").find("\"save_write_seconds\":") != std::string::npos);
    const Json plan = place.plan();
    const uint64_t copy = plan.at("save_copy_bytes"), host = plan.at("host_bytes");
    CHECK(copy == place.bytes_of_tensors(4));
    CHECK(plan.at("save_waits_for") == "copy");
    fs::rename(place.path("run"), place.path("held"));

    const Outcome waits = place.whole(SavePlace::with(keys, {fmt::format("--memory.host={}", host + copy - 1)}));
    CHECK(waits.says("saves: training waits for the disk: a copy of "));
    CHECK_FALSE(waits.says("; training waited for "));
    CHECK(place.plan().at("save_waits_for") == "disk");
    for (const uint64_t step : {4, 8, 12}) CHECK((place.checkpoint("run", step) == place.checkpoint("held", step)));
    fs::remove_all(place.path("run"));

    const Outcome fits = place.whole(SavePlace::with(keys, {fmt::format("--memory.host={}", host + copy)}));
    CHECK_FALSE(fits.says("saves: "));
    for (const uint64_t step : {4, 8, 12}) CHECK((place.checkpoint("run", step) == place.checkpoint("held", step)));
  }
}

TEST_CASE("training waits for the disk where the host has no memory for a copy, on vulkan") {
  const SavePlace place;
  place.whole({});
  const Json plan = place.plan();
  fs::remove_all(place.path("run"));
  const uint64_t host = plan.at("host_bytes").get<uint64_t>() + plan.at("save_copy_bytes").get<uint64_t>() - 1;
  const auto o = place.held({fmt::format("--memory.host={}", host)}, ".tmp-step_00000004", 4, "sleep 2");
  CHECK(o.struck);
  CHECK(o.steps == 4);
  CHECK(o.exit == 0);
}

TEST_CASE("a disk that is full once training has gone on ends it with 7, and what was saved before stays, on vulkan") {
  const SavePlace place;
  place.whole({"--run.directory=whole"});
  const auto o = place.held({"--checkpoint.keep=1"}, ".tmp-step_00000008", 11, "echo 28 >go.new");
  INFO(o.err);
  CHECK(o.struck);
  CHECK(o.steps >= 11);
  CHECK(o.exit == 7);
  CHECK(o.err.find(".tmp-step_00000008/model-00001-of-00001.safetensors] cannot write: No space left") !=
        std::string::npos);
  CHECK(checkpoint_steps(place.path("run/checkpoints")) == std::vector<uint64_t>{4});
  CHECK(place.resume().exit == 0);
  CHECK((place.result("run") == place.result("whole")));
}

TEST_CASE("a signal to stop waits for the checkpoint that is being written, on vulkan") {
  const SavePlace place;
  place.whole({"--run.directory=whole"});
  for (const int number : {SIGTERM, SIGINT}) {
    const auto o = place.held({"--schedule.steps=12000"}, ".tmp-step_00000004", 6,
                              fmt::format("kill -{} $p; sleep 1; [ -e /proc/$p/exe ] && touch waits", number));
    INFO(o.err);
    CHECK(file_exists(place.path("waits")));
    CHECK(o.struck);
    CHECK(o.steps >= 6);
    CHECK(o.exit == kStopped);
    const std::vector<uint64_t> steps = checkpoint_steps(place.path("run/checkpoints"));
    REQUIRE(steps.size() == 2);
    CHECK(steps[0] >= 6);
    CHECK(steps[1] == 4);
    fs::remove_all(place.path("run"));
    fs::remove(place.path("waits"));
  }
}

TEST_CASE("a run killed while a checkpoint is written goes on from the one before, to the bit, on vulkan") {
  const SavePlace place("bf16");
  place.whole({"--run.directory=whole"});
  const auto o = place.held({}, ".tmp-step_00000008", 11, "kill -KILL $p");
  INFO(o.err);
  CHECK(o.struck);
  CHECK(o.steps >= 11);
  CHECK(o.exit == 128 + SIGKILL);
  CHECK(checkpoint_steps(place.path("run/checkpoints")) == std::vector<uint64_t>{4});
  const Outcome resumed = place.resume();
  CHECK(resumed.says("resumed after step 4"));
  CHECK(resumed.exit == 0);
  CHECK((place.result("run") == place.result("whole")));
}

TEST_CASE("ranks go on while the first one writes, and a checkpoint has the bytes of one they wait for, on vulkan") {
  const SavePlace place("bf16");
  const Words ranks = {"--distributed.devices=2", "--distributed.zero=3", "--batch.micro_batch=1", kAll[0]};
  const auto o = place.held(ranks, ".tmp-step_00000004", 8);
  INFO(o.err);
  CHECK(o.exit == 0);
  CHECK(o.struck);
  CHECK(o.steps == 8);
  const Json plan = place.plan();
  const uint64_t copy = plan.at("save_copy_bytes"), host = plan.at("host_bytes");
  CHECK(copy == place.bytes_of_tensors(4));
  fs::rename(place.path("run"), place.path("held"));
  const Outcome waits = place.whole(SavePlace::with(ranks, {fmt::format("--memory.host={}", 2 * host + copy - 2)}));
  CHECK(waits.says("saves: training waits for the disk"));
  for (const uint64_t step : {4, 8, 12}) CHECK((place.checkpoint("run", step) == place.checkpoint("held", step)));
  fs::remove_all(place.path("run"));
  const auto stopped = place.held(SavePlace::with(ranks, {"--schedule.steps=12000"}), ".tmp-step_00000004", 6,
                                  "kill -TERM $p; sleep 0.5");
  CHECK(stopped.exit == kStopped);
  CHECK(checkpoint_steps(place.path("run/checkpoints")).size() == 2);
}

}  // namespace
}  // namespace tandem::test
