// `tandem plan` says what `tandem train` does: policy, chunks, bytes and time.
#include <doctest/doctest.h>

#include <random>

#include "core/rates/device_table.h"
#include "core/run/engine.h"
#include "core/run/plan_record.h"
#include "tests/cli/run_place.h"

namespace tandem::test {
namespace {

// A device of which a table is all that is known: its memory holds nothing, and nothing is run on it.
class PaperBackend : public Backend {
 public:
  explicit PaperBackend(Target target) : target_(std::move(target)) {}
  const Target& target() const override { return target_; }
  std::unique_ptr<Memory> allocate(const Arena&) override { return std::make_unique<Memory>(); }
  void write(Memory&, uint64_t, std::span<const std::byte>) override {}
  void read(const Memory&, uint64_t, std::span<std::byte>) override {}
  std::unique_ptr<Executable> load(const Program&, std::span<Memory* const>) override {
    return std::make_unique<PaperExecutable>();
  }

 private:
  struct PaperExecutable : Executable {
    Timepoint submit(Turn) override { return {}; }
    void wait(Timepoint) override {}
  };
  Target target_;
};

constexpr const char* kDevice = "rtx-4090";

DeviceList paper_devices() {
  return {{load_device_table(kDevice).info}, {}};
}

std::unique_ptr<Backend> open_paper(uint32_t) {
  return std::make_unique<PaperBackend>(load_device_table(kDevice).target);
}

// What `plan --json` prints, of what a run has loaded.
Json json_of(const Engine& engine) {
  Json arenas = Json::array();
  for (const Arena& arena : engine.plan.memory.arenas)
    arenas.push_back(
        {{"name", arena.name}, {"kind", arena.kind == ArenaKind::host ? "host" : "device"}, {"bytes", arena.bytes}});
  const Json policy = policy_json(engine.plan.policy, offload_words(engine.spec));
  return {{"device_bytes", device_bytes(engine.plan.memory, engine.backend->target())},
          {"host_bytes", engine.plan.memory.host_bytes},
          {"arenas", arenas},
          {"recompute", policy.at("recompute")},
          {"offload", policy.at("offload")},
          {"lm_head_chunks", engine.spec.shape.head_chunks},
          {"attention_chunks", engine.plan.policy.attention_chunks},
          {"micro_batch", engine.spec.shape.micro_batch},
          {"gradient_accumulation", engine.spec.shape.accumulation},
          {"step_seconds", engine.plan.prediction.value().step},
          {"floor_seconds", engine.plan.prediction.value().floor}};
}

struct Key {
  std::string name;
  std::vector<std::string> values;  // empty: the key is left out
};

// memory.device: around the 800 MiB of the device's reserve and the few 100 KiB of the step
const std::vector<Key>& keys() {
  static const std::vector<Key> keys{
      {"precision.recipe", {"fp32", "bf16", "fp8"}},
      {"memory.recompute", {"", "none", "block", "[\"norm\", \"swiglu\"]"}},
      {"memory.offload", {"", "none", "[\"m\", \"v\"]", "[\"parameters\", \"gradients\"]", "[\"residuals\"]"}},
      {"memory.lm_head_chunks", {"", "", "1", "3"}},
      {"memory.attention_chunks", {"", "", "2"}},
      {"memory.device", {"", "839050000", "839150000", "839250000", "839400000"}},
      {"memory.host", {"", "", "1GiB"}},
  };
  return keys;
}

// Set, or left to the planner; the file says micro_batch = 2.
const std::vector<std::vector<std::string>>& batches() {
  static const std::vector<std::vector<std::string>> batches{
      {"--batch.micro_batch=1"},
      {"--batch.micro_batch=3", "--batch.gradient_accumulation=2"},
      {"--batch.micro_batch=8", "--batch.gradient_accumulation=2"},
      {"--batch.sequences=24", "--batch.micro_batch=auto"},
      {"--batch.sequences=16", "--batch.micro_batch=auto", "--batch.gradient_accumulation=auto"},
      {"--batch.sequences=12", "--batch.micro_batch=auto", "--batch.gradient_accumulation=4"},
      {"--batch.sequences=8"},
  };
  return batches;
}

// plan's outcome is the engine's, or both say that it does not fit; returns whether it fits
bool check_same(const Workplace& place, const std::vector<std::string>& overrides) {
  std::vector<std::string> arguments{"plan", "c.toml", "--json", "--device", kDevice};
  arguments.insert(arguments.end(), overrides.begin(), overrides.end());
  const Outcome o = place.tandem(arguments);
  INFO(o.err);
  REQUIRE((o.exit == 0 || o.exit == int(Exit::does_not_fit)));
  const RunConfig config = load_config(place.path("c.toml"), overrides);
  RunInputs inputs;
  inputs.model = open_model(place.path(config.model.path));
  inputs.spec = step_spec(config, inputs.model.config);
  inputs.sequences = free_sequences(config);
  Registry registry;
  registry.add({load_device_table(kDevice).info.backend, paper_devices, open_paper});
  StartTimes times;
  if (o.exit != 0) {
    const std::string said = thrown(Exit::does_not_fit, [&] { open_engine(config, registry, inputs, nullptr, times); });
    CHECK(said.find("the largest that fits") != std::string::npos);
    return false;
  }
  Engine engine = open_engine(config, registry, inputs, nullptr, times);
  load_step(engine, inputs, times);
  const Json planned = o.json(), loaded = json_of(engine);
  for (const auto& [key, value] : loaded.items()) {
    CAPTURE(key);
    CHECK(planned.at(key) == value);
  }
  return true;
}

TEST_CASE("plan says what train does, whatever is set and whatever is auto") {
  const RunPlace place;
  CHECK(check_same(place, {"--run.backend=auto", "--memory.offload=[\"m\", \"v\"]"}));
  std::mt19937 random(7);
  int fit = 0, not_fit = 0;
  for (int i = 0; i < 40; ++i) {
    std::vector<std::string> overrides{"--run.backend=auto"};
    const std::vector<std::string>& batch = batches()[random() % batches().size()];
    overrides.insert(overrides.end(), batch.begin(), batch.end());
    for (const Key& key : keys())
      if (const std::string& value = key.values[random() % key.values.size()]; !value.empty())
        overrides.push_back("--" + key.name + "=" + value);
    std::string all;
    for (const std::string& o : overrides) all += o + " ";
    INFO(all);
    ++(check_same(place, overrides) ? fit : not_fit);
  }
  MESSAGE(fit, " plans fit, ", not_fit, " do not");
  CHECK(fit > 15);
  CHECK(not_fit > 2);
}

TEST_CASE("plan says what train does, offloaded and not, on vulkan") {
  const RunPlace place;
  for (const std::string key : {"--memory.offload=auto", "--memory.offload=[\"m\", \"v\"]"}) {
    CAPTURE(key);
    const Outcome planned = place.tandem({"plan", "c.toml", "--json", key});
    REQUIRE(planned.exit == 0);
    REQUIRE(place.train({key, "--schedule.steps=1", "--run.directory=run-" + key}).exit == 0);
    const Json plan = planned.json(), trained = parse_json(place.read("run-" + key + "/plan.json"), "plan.json");
    for (const char* same : {"device_bytes", "host_bytes", "arenas", "recompute", "offload", "lm_head_chunks",
                             "attention_chunks", "micro_batch"})
      CHECK(plan.at(same) == trained.at(same));
    CHECK(trained.at("environment").at("driver").get<std::string>().size() > 1);
  }
}

}  // namespace
}  // namespace tandem::test
