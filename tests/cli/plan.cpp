// `tandem plan`: what it prints, what it reads, what it refuses. No device is needed.
#include <doctest/doctest.h>

#include <cstdlib>
#include <filesystem>

#include "tests/cli/command.h"

namespace tandem::test {
namespace {

// small_config() names token files that are not there
struct PlanPlace : Workplace {
  PlanPlace() {
    write_model("model");
    write("c.toml", small_config());
  }
  Outcome plan(std::vector<std::string> arguments) const {
    arguments.insert(arguments.begin(), {"plan", "c.toml"});
    return tandem(arguments);
  }
};

std::string source(const std::string& path) {
  const char* root = std::getenv("TANDEM_SOURCE_ROOT");
  return std::string(root ? root : ".") + "/" + path;
}

TEST_CASE("plan --json prints the fields of docs/formats.md, with no data, no weights and no run directory") {
  const PlanPlace place;
  const Outcome o = place.plan({"--device", "rtx-4090", "--json"});
  INFO(o.err);
  CHECK(o.exit == 0);
  const Json j = o.json();
  CHECK(keys_of(j) == std::vector<std::string>{"fits",
                                               "device_bytes",
                                               "host_bytes",
                                               "arenas",
                                               "recompute",
                                               "offload",
                                               "lm_head_chunks",
                                               "attention_chunks",
                                               "micro_batch",
                                               "gradient_accumulation",
                                               "step_seconds",
                                               "tokens_per_second",
                                               "floor_seconds",
                                               "flops",
                                               "largest_micro_batch",
                                               "trainable_parameters",
                                               "base",
                                               "replay",
                                               "exposed_copy_seconds",
                                               "ranks",
                                               "zero",
                                               "collectives",
                                               "exchange_seconds",
                                               "save_copy_bytes",
                                               "save_waits_for"});
  CHECK(j.at("base").is_null());
  CHECK(j.at("exposed_copy_seconds").get<double>() >= 0);
  CHECK(j.at("fits") == true);
  uint64_t device = 0;
  for (const Json& arena : j.at("arenas"))
    if (arena.at("kind") == "device") device += arena.at("bytes").get<uint64_t>();
  CHECK(j.at("device_bytes").get<uint64_t>() > device);  // reserve and workspace too
  CHECK(j.at("step_seconds").get<double>() >= j.at("floor_seconds").get<double>() * 0.9);
  CHECK(j.at("tokens_per_second").get<double>() == doctest::Approx(32 / j.at("step_seconds").get<double>()));
  CHECK(j.at("largest_micro_batch").get<uint32_t>() >= 2);
  CHECK(j.at("ranks") == 1);
  CHECK(j.at("collectives") == "none");
  CHECK(j.at("exchange_seconds") == 0);
  CHECK(j.at("save_waits_for") == "copy");
  CHECK_FALSE(file_exists(place.path("run")));
}

TEST_CASE("plan: says whether a save's copy fits beside what is planned on the host") {
  const PlanPlace place;
  // 257 x 32 embedding; two layers of q and o 32 x 32, k and v 16 x 32, three of the ffn 48 x 32, two norms; a norm
  constexpr uint64_t kParameters = 257 * 32 + 2 * (3 * 32 * 32 + 3 * 48 * 32 + 2 * 32) + 32;
  const auto plan = [&](uint64_t host) {
    const Outcome o = place.plan({"--device", "rtx-4090", "--json", "--host-memory", std::to_string(host)});
    INFO(o.err);
    REQUIRE(o.exit == 0);
    return o.json();
  };
  const Json j = plan(1 << 30);
  CHECK(j.at("save_copy_bytes") == kParameters * 3 * sizeof(float));  // with m and v
  const uint64_t both = j.at("host_bytes").get<uint64_t>() + j.at("save_copy_bytes").get<uint64_t>();
  CHECK(plan(both).at("save_waits_for") == "copy");
  CHECK(plan(both - 1).at("save_waits_for") == "disk");
  const Outcome text = place.plan({"--device", "rtx-4090", "--host-memory", std::to_string(both - 1)});
  CHECK(text.out.find("Saves: training waits for the disk: a copy of ") != std::string::npos);
}

TEST_CASE("plan: too few LM-head chunks exit with 4, naming the key and the least count, which is right") {
  const Workplace place;
  place.write("c.toml", small_config({{"model.path", '"' + source("configs/models/qwen2.5-0.5b") + '"'},
                                      {"batch.micro_batch", "32"},
                                      {"data.sequence_length", "1024"}}));
  const auto plan = [&](const char* chunks) {
    return place.tandem({"plan", "c.toml", "--device", "h200", std::string("--memory.lm_head_chunks=") + chunks});
  };
  check_refused(plan("1"), 4, {"memory.lm_head_chunks", "1 makes", "at least 2"});  // 32 x 1024 x 151936 logits
  CHECK(plan("2").exit == 0);

  const PlanPlace huge;
  huge.write_model("model", {{"vocab_size", 1 << 27}, {"hidden_size", 8}, {"head_dim", 8}});
  check_refused(huge.plan({"--device", "h200", "--data.sequence_length=64"}), 4,
                {"vocab_size", "134217728", "fits is 31"});
  CHECK(huge.plan({"--device", "h200", "--batch.micro_batch=1"}).exit == 0);
}

TEST_CASE("plan: an installed program finds the device tables of its prefix, and says where it looked for others") {
  const PlanPlace place;
  make_directories(place.path("bin"));
  make_directories(place.path("share/tandem/devices"));
  std::filesystem::copy_file(std::getenv("TANDEM_EXECUTABLE"), place.path("bin/tandem"));
  const auto plan = [&] { return place.run(place.path("bin/tandem"), {"plan", "c.toml", "--device", "my-card"}); };
  check_refused(plan(), 2, {"my-card", place.path("share/tandem/devices")});
  std::filesystem::copy_file(source("configs/devices/rtx-4090.toml"), place.path("share/tandem/devices/my-card.toml"));
  CHECK(plan().exit == 0);
}

TEST_CASE("plan: what does not fit is printed, and exits with 4") {
  const PlanPlace place;
  const Outcome o = place.plan({"--device", "rtx-4090", "--memory", "1MiB", "--json"});
  CHECK(o.exit == 4);
  CHECK(o.json().at("fits") == false);
  CHECK(o.json().at("largest_micro_batch") == 0);
  const Outcome text = place.plan({"--device", "rtx-4090", "--memory", "1MiB"});
  CHECK(text.exit == 4);
  for (const char* part : {"DOES NOT FIT", "No batch.micro_batch fits", "The peak of what shares memory"})
    CHECK(text.out.find(part) != std::string::npos);
  const Outcome batch = place.plan({"--device", "rtx-4090", "--memory", "830MiB", "--batch.micro_batch=8192"});
  CHECK(batch.exit == 4);
  CHECK(batch.out.find("Largest batch.micro_batch found to fit: ") != std::string::npos);
}

TEST_CASE("plan: the policy says what is moved where, how far ahead, and a runner-up what it does otherwise") {
  const Workplace place;
  const Outcome o =
      place.tandem({"plan", source("configs/qwen2.5-3b.toml"), "--model.path=" + source("configs/models/qwen2.5-3b"),
                    "--device", "rtx-4090", "--batch.micro_batch=16", "--batch.gradient_accumulation=32"});
  INFO(o.err);
  CHECK(o.exit == 0);
  for (const char* part : {"Policy: ", "m, v everywhere", "layers ahead ", "parameters ahead in the update ",
                           "fp8 copies", "Runner-up: ", "Hint: batch.micro_batch = "})
    CHECK(o.out.find(part) != std::string::npos);
}

TEST_CASE("plan: [memory] and the flags set the policy and the budgets") {
  const PlanPlace place;
  const Outcome o = place.plan({"--device", "rtx-4090", "--json", "--memory.recompute=block",
                                "--memory.offload=[\"m\"]", "--memory.lm_head_chunks=1", "--memory", "100GiB"});
  INFO(o.err);
  CHECK(o.exit == 0);
  CHECK(o.json().at("recompute") == Json{"block"});
  CHECK(o.json().at("lm_head_chunks") == 1);
}

TEST_CASE("plan --explain names what is alive at the peak; the table ends in the plan's bytes") {
  const PlanPlace place;
  const Outcome o = place.plan({"--device", "h200", "--explain"});
  CHECK(o.exit == 0);
  for (const char* text :
       {"parameters", "gradients", "reserve", "The peak of what shares memory", "tokens/s predicted"})
    CHECK(o.out.find(text) != std::string::npos);
}

TEST_CASE("plan warns of windows beyond max_position_embeddings, as train does") {
  const Outcome o = PlanPlace().plan({"--device", "rtx-4090", "--data.sequence_length=128"});
  CHECK(o.exit == 0);
  CHECK(o.says("data.sequence_length 128 is above the model's max_position_embeddings 64"));
}

TEST_CASE("plan refuses what it cannot plan for, by name") {
  const PlanPlace place;
  const auto refused = [&](const std::vector<std::string>& arguments, const char* named) {
    const Outcome o = place.plan(arguments);
    INFO(o.err);
    CHECK(o.exit == 2);
    CHECK(o.out == "");
    CHECK(o.says(named));
  };
  refused({"--device", "rtx-9090"}, "rtx-4090");
  refused({"--device", "rtx-4090", "--memory", "much"}, "--memory");
  refused({"--device", "rtx-4090", "--host-memory", "-1"}, "--host-memory");
  refused({"--device", "rtx-3090", "--precision.recipe=fp8", "--batch.micro_batch=1"}, "bf16");
  refused({"--device", "rtx-4090", "another"}, "another");
  refused({"--device", "rtx-4090", "--batch.micro_bach=1"}, "batch.micro_batch");
}

TEST_CASE("plan: shipped configurations, the largest too, plan with nothing but the checkout") {
  for (const std::string name : {"quickstart", "llama-3.2-1b", "qwen3-0.6b", "qwen2.5-32b"}) {
    const Workplace place;
    const Outcome o =
        place.tandem({"plan", source("configs/" + name + ".toml"), "--model.path=" + source("configs/models/" + name),
                      "--device", "h200", "--memory", "800GiB", "--json"});
    CAPTURE(name);
    INFO(o.err);
    CHECK(o.exit == 0);
    if (o.exit == 0) CHECK(o.json().at("fits") == true);
  }
}

TEST_CASE("plan: 32B on four 24 GiB cards, 14B and 7B with less of a host") {
  struct Planned {
    const char *name, *host;
    uint64_t host_bytes;
  };
  for (const auto& [name, host, most] : {Planned{"qwen2.5-32b", "256GiB", uint64_t(256) << 30},
                                         {"qwen2.5-14b", "128GiB", uint64_t(128) << 30},
                                         {"qwen2.5-7b", "128GiB", uint64_t(128) << 30}}) {
    CAPTURE(std::string(name));
    const Workplace place;
    const Outcome o =
        place.tandem({"plan", source(fmt::format("configs/{}.toml", name)),
                      "--model.path=" + source(fmt::format("configs/models/{}", name)), "--device", "rtx-4090",
                      "--host-memory", host, "--distributed.devices=4", "--distributed.zero=3", "--batch.micro_batch=8",
                      "--batch.gradient_accumulation=16", "--json"});
    INFO(o.err);
    REQUIRE(o.exit == 0);
    const Json plan = o.json();
    CHECK(plan.at("device_bytes") <= uint64_t(24564) << 20);
    CHECK(plan.at("host_bytes") <= most);
    CHECK(plan.at("ranks") == 4);
    CHECK(plan.at("zero") == 3);
    CHECK(plan.at("exchange_seconds").get<double>() >= 0);
    CHECK(plan.at("tokens_per_second").get<double>() ==
          doctest::Approx(524288 / plan.at("step_seconds").get<double>()).epsilon(1e-6));
  }
}

}  // namespace
}  // namespace tandem::test
