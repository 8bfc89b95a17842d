// Replays as users have them: streams stored once, reused, refused where they are another base's or other tokens'; the
// same losses and adapter as one Program that rounds at the cut.
#include <doctest/doctest.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>

#include "tests/cli/run_place.h"

namespace tandem::test {
namespace {

namespace fs = std::filesystem;

// A workplace with a base of three layers, and a run of adapters in the upper two.
struct ReplayPlace : RunPlace {
  explicit ReplayPlace(const std::string& recipe = "fp32") : RunPlace(recipe) {
    write_model("model", {{"num_hidden_layers", 3}});
    REQUIRE(train({"--run.directory=base", "--schedule.steps=2", "--data.eval=[]"}).exit == 0);
    fs::rename(path("base/model"), path("basemodel"));
  }
  Outcome upper(std::vector<std::string> more, const std::string& fault = "") const {
    more.insert(more.begin(), {"--model.path=basemodel", "--model.from_scratch=false", "--lora.rank=5",
                               "--lora.first_layer=1", "--optimizer.master_dtype=" + master()});
    return train(std::move(more), fault);
  }
  Outcome replay(std::vector<std::string> more, const std::string& fault = "") const {
    more.emplace_back("--replay.directory=streams");
    return upper(std::move(more), fault);
  }
  std::string master() const { return read("c.toml").find("fp32") != std::string::npos ? "none" : "f32"; }
  std::string adapter_of(const std::string& run) const {
    return read(run + "/adapter/adapter_config.json") + read(run + "/adapter/adapter_model.safetensors");
  }
  // What a run's steps and evaluations gave, and its adapter.
  std::string result_of(const std::string& run) const {
    std::string all = adapter_of(run);
    std::istringstream lines(read(run + "/metrics.jsonl"));
    for (std::string line; std::getline(lines, line);) {
      const Json json = parse_json(line, "metrics.jsonl");
      if (json.contains("eval")) all += json.at("eval").at("loss").dump() + "\n";
      else all += json.at("loss").dump() + " " + json.at("grad_norm").dump() + "\n";
    }
    return all;
  }
  std::vector<std::string> files() const {
    std::vector<std::string> names;
    for (const auto& entry : fs::directory_iterator(path("streams"))) names.push_back(entry.path().filename());
    std::ranges::sort(names);
    return names;
  }
};

TEST_CASE("a replay has the losses, evaluations and adapter of one Program that rounds at the cut, on vulkan") {
  for (const char* recipe : {"fp32", "bf16", "fp8"}) {
    CAPTURE(std::string(recipe));
    const ReplayPlace place(recipe);
    // two files in windows that shuffle from epoch to epoch; in fp8 scales span a micro-step
    const std::vector<std::string> batch =
        recipe == std::string("fp8")
            ? std::vector<std::string>{"--batch.micro_batch=1", "--batch.gradient_accumulation=2"}
            : std::vector<std::string>{};
    const auto with = [&](std::vector<std::string> more) {
      more.insert(more.end(), batch.begin(), batch.end());
      return more;
    };
    const Outcome stored = place.replay(with({"--run.directory=stored"}));
    INFO(stored.err);
    REQUIRE(stored.exit == 0);
    CHECK(stored.says("stored 10 windows"));
    const Outcome rounded = place.upper(with({"--run.directory=rounded", "--replay.rounding=true"}));
    INFO(rounded.err);
    REQUIRE(rounded.exit == 0);
    CHECK((place.result_of("stored") == place.result_of("rounded")));
    REQUIRE(place.upper(with({"--run.directory=plain"})).exit == 0);
    CHECK((place.result_of("plain") != place.result_of("rounded")));
    CHECK(place.files().size() == 2);

    // the files are used again, and a run that is stopped and resumed ends alike
    const auto written = fs::last_write_time(place.path("streams/" + place.files()[0]));
    CHECK(place.replay(with({}), fmt::format("write:4:s{}:metrics.jsonl", SIGTERM)).exit == kStopped);
    CHECK(place.replay(with({"--resume"}), fmt::format("write:9:s{}:.tmp-step_00000008", SIGKILL)).exit ==
          128 + SIGKILL);
    const Outcome resumed = place.replay(with({"--resume"}));
    INFO(resumed.err);
    CHECK(resumed.exit == 0);
    CHECK_FALSE(resumed.says("stored"));
    CHECK((place.result_of("run") == place.result_of("stored")));
    CHECK((fs::last_write_time(place.path("streams/" + place.files()[0])) == written));
  }
}

TEST_CASE("a replay of packed documents, and of a mixture, has the bits of one Program, on vulkan") {
  const ReplayPlace place("bf16");
  std::vector<int32_t> tokens(200);
  for (uint32_t i = 0; i < tokens.size(); ++i) tokens[i] = int32_t((5 * i * i + i) % 256);
  place.write("d.bin", with_documents(llmq_v2(tokens, 257), {0, 9, 31, 40, 90, 100, 104, 150, 190}));
  const std::vector<std::vector<std::string>> ways = {
      {"--data.train=[\"d.bin\"]", "--data.packing=whole", "--data.eval=[]"},
      {"--data.train=[\"d.bin\"]", "--data.separate_documents=true", "--data.eval=[\"d.bin\"]"},
      {"--data.train=[\"a.bin\", \"d.bin\"]", "--data.weights=[3, 1]"}};
  for (size_t i = 0; i < ways.size(); ++i) {
    CAPTURE(i);
    const auto run = [&](const std::string& name, const std::string& key) {
      std::vector<std::string> more = ways[i];
      more.insert(more.end(), {fmt::format("--run.directory={}{}", name, i), key});
      const Outcome o = place.upper(more);
      INFO(o.err);
      REQUIRE(o.exit == 0);
      return place.result_of(fmt::format("{}{}", name, i));
    };
    CHECK((run("stored", fmt::format("--replay.directory=streams{}", i)) == run("rounded", "--replay.rounding=true")));
  }
}

TEST_CASE("stored streams of anything else are refused, naming the file and what differs") {
  const ReplayPlace place;
  REQUIRE(place.replay({"--run.directory=first", "--schedule.steps=1"}).exit == 0);
  const auto refused = [&](std::vector<std::string> more, std::initializer_list<std::string_view> named) {
    more.insert(more.end(), {"--run.directory=other", "--schedule.steps=1"});
    const Outcome o = place.replay(more);
    check_refused(o, 3, {"streams/a.bin-", "replay.directory"});
    check_refused(o, 3, named);
    CHECK_FALSE(file_exists(place.path("other")));
  };
  refused({"--lora.first_layer=2"}, {"layer 1", "2"});
  refused({"--data.sequence_length=8"}, {"sequence length 16", "8"});
  refused({"--data.separate_documents=true", "--data.document_end=176"}, {"packed otherwise"});
  refused({"--precision.recipe=bf16", "--optimizer.master_dtype=f32"}, {"recipe fp32", "bf16"});

  const std::string tokens = place.read("a.bin"), weights = place.read("basemodel/model.safetensors");
  std::string changed = tokens;
  changed[1024 + 4 * 20] = char(changed[1024 + 4 * 20] ^ 1);
  place.write("a.bin", changed);
  refused({}, {"other tokens"});
  place.write("a.bin", tokens);

  // a weight above the cut may change, one below it may not
  const size_t header = 8 + size_t(*reinterpret_cast<const uint64_t*>(weights.data()));
  const Json tensors = parse_json(weights.substr(8, header - 8), "model.safetensors");
  const auto change = [&](const std::string& tensor) {
    std::string other = weights;
    const size_t at = header + tensors.at(tensor).at("data_offsets").at(0).get<size_t>();
    other[at] = char(other[at] ^ 1);
    place.write("basemodel/model.safetensors", other);
  };
  change("model.layers.0.mlp.up_proj.weight");
  refused({}, {"another base below layer 1"});
  change("model.layers.1.mlp.up_proj.weight");
  CHECK(place.replay({"--run.directory=above", "--schedule.steps=1"}).exit == 0);
  place.write("basemodel/model.safetensors", weights);

  const std::string stored = "streams/" + place.files()[0], bytes = place.read(stored);
  place.write(stored, bytes.substr(0, bytes.size() - 1));
  refused({}, {"bytes"});
  place.write(stored, "TNDM");
  refused({}, {"not a file of stored streams"});
  fs::remove(place.path(stored));
  CHECK(place.replay({"--run.directory=again", "--schedule.steps=1"}).exit == 0);
  CHECK((place.read(stored) == bytes));
}

TEST_CASE("replay keys that mean nothing are refused") {
  const ReplayPlace place;
  const auto refused = [&](std::vector<std::string> arguments, std::initializer_list<std::string_view> named) {
    arguments.insert(arguments.begin(), {"train", "c.toml", "--run.directory=other", "--model.path=basemodel",
                                         "--model.from_scratch=false"});
    check_refused(place.tandem(arguments), 2, named);
    CHECK_FALSE(file_exists(place.path("other")));
    CHECK_FALSE(file_exists(place.path("streams")));
  };
  refused({"--lora.first_layer=1"}, {"lora.first_layer", "lora.rank"});
  refused({"--lora.rank=4", "--lora.first_layer=3"}, {"lora.first_layer", "3 layers", "0 to 2"});
  refused({"--replay.directory=streams"}, {"replay.directory", "lora.rank"});
  refused({"--replay.rounding=true"}, {"replay.rounding", "lora.rank"});
  refused({"--replay.directory=streams", "--lora.rank=4"}, {"replay.directory", "lora.first_layer"});
  refused({"--replay.directory=streams", "--lora.rank=4", "--lora.first_layer=1", "--distributed.devices=2"},
          {"replay.directory", "distributed.devices"});
  refused({"--replay.directory=streams", "--lora.rank=4", "--lora.first_layer=1", "--precision.recipe=fp8",
           "--data.sequence_length=8", "--batch.micro_batch=2"},
          {"data.sequence_length", "16"});
  refused({"--replay.directory=streams", "--lora.rank=4", "--lora.first_layer=1", "--precision.recipe=fp8",
           "--precision.fast_accumulation=true"},
          {"replay.directory", "precision.fast_accumulation"});
  for (const char* inside : {"other", "other/streams", "./other/../other/streams/"})
    refused({fmt::format("--replay.directory={}", inside), "--lora.rank=4", "--lora.first_layer=1"},
            {"replay.directory", "run directory other"});
  // an adapter says itself where it begins
  REQUIRE(place.upper({"--schedule.steps=1"}).exit == 0);
  REQUIRE(place.upper({"--run.directory=whole", "--schedule.steps=1", "--lora.first_layer=0"}).exit == 0);
  refused({"--lora.adapter=run/adapter", "--lora.first_layer=2"}, {"lora.first_layer", "2", "1"});
  refused({"--lora.adapter=whole/adapter", "--replay.directory=streams"}, {"replay.directory", "layer 0"});
}

TEST_CASE("a disk that is full, and a signal, leave no stream half stored, on vulkan") {
  const ReplayPlace place;
  for (const char* call : {"write", "fsync", "rename"}) {
    CAPTURE(std::string(call));
    const Outcome full = place.replay({}, fmt::format("{}:1:{}:.tmp-a.bin", call, ENOSPC));
    check_refused(full, 7, {"streams/"});
    CHECK(place.files().empty());
    CHECK_FALSE(file_exists(place.path("run")));
  }
  check_refused(place.replay({}, fmt::format("open:1:{}:.tmp-spill", ENOSPC)), 7, {"streams"});
  CHECK(place.files().empty());
  // a signal while the second file is stored: the first one stays, and the run goes on from its beginning
  CHECK(place.replay({}, fmt::format("open:1:s{}:.tmp-b.bin", SIGTERM)).exit == kStopped);
  CHECK(place.files().size() == 1);
  CHECK(file_exists(place.path("run/checkpoints/step_00000000/manifest.json")));
  CHECK(place.replay({"--resume"}).exit == 0);
  REQUIRE(place.replay({"--run.directory=whole"}).exit == 0);
  CHECK((place.result_of("run") == place.result_of("whole")));
}

TEST_CASE("one run at a time stores streams, and removes what a killed one left") {
  const ReplayPlace place;
  fs::create_directory(place.path("streams"));
  place.write("streams/.tmp-gone.bin-01234567.stream", "TNDM");
  const int held = ::open(place.path("streams").c_str(), O_RDONLY);
  REQUIRE(::flock(held, LOCK_EX | LOCK_NB) == 0);
  check_refused(place.replay({}), 2, {"replay.directory", "another run stores streams"});
  CHECK(place.files().size() == 1);
  CHECK_FALSE(file_exists(place.path("run")));
  ::close(held);
  CHECK(place.replay({"--schedule.steps=1"}).exit == 0);
  CHECK(place.files().size() == 2);
  CHECK(place.files()[0].starts_with("a.bin-"));
}

TEST_CASE("a step that does not fit is told before a stream is stored, on vulkan") {
  const ReplayPlace place;
  CHECK(place.replay({"--memory.device=1MiB"}).exit == 4);
  CHECK_FALSE(file_exists(place.path("streams")));
}

TEST_CASE("an automatic batch is settled before streams are stored, on vulkan") {
  const ReplayPlace place("bf16");
  const Outcome stored = place.replay({"--run.directory=stored", "--batch.sequences=4", "--batch.micro_batch=auto",
                                       "--batch.gradient_accumulation=auto"});
  INFO(stored.err);
  REQUIRE(stored.exit == 0);
  const Json batch = parse_json(place.read("stored/plan.json"), "plan.json");
  REQUIRE(
      place
          .upper({"--run.directory=rounded", "--replay.rounding=true",
                  fmt::format("--batch.micro_batch={}", batch.at("micro_batch").get<uint32_t>()),
                  fmt::format("--batch.gradient_accumulation={}", batch.at("gradient_accumulation").get<uint32_t>())})
          .exit == 0);
  CHECK((place.result_of("stored") == place.result_of("rounded")));
}

TEST_CASE("a run that goes on stores what it is going to read, on vulkan") {
  const ReplayPlace place;
  const auto resume = [&](std::vector<std::string> more) {
    fs::remove_all(place.path("streams"));
    more.emplace_back("--resume");
    const Outcome o = place.replay(std::move(more));
    INFO(o.err);
    CHECK(o.exit == 0);
  };
  REQUIRE(place.replay({}).exit == 0);
  const std::string metrics = place.read("run/metrics.jsonl"), result = place.result_of("run");
  resume({});
  CHECK_FALSE(file_exists(place.path("streams")));
  CHECK((place.result_of("run") == result));
  place.write("run/metrics.jsonl", metrics.substr(0, metrics.rfind("{\"eval\"")));
  resume({});
  CHECK(place.files().size() == 1);
  CHECK(place.files()[0].starts_with("b.bin-"));
  CHECK((place.result_of("run") == result));
  resume({"--schedule.steps=13"});
  CHECK(place.files().size() == 2);
}

TEST_CASE("an adapter of upper layers goes out and in as PEFT has it, on vulkan") {
  const ReplayPlace place;
  REQUIRE(place.upper({"--run.directory=upper"}).exit == 0);
  Json config = parse_json(place.read("upper/adapter/adapter_config.json"), "adapter_config.json");
  CHECK(config.at("layers_to_transform") == Json({1, 2}));
  CHECK(config.at("target_modules").size() == 7);
  CHECK(config.at("target_modules").at(0) == "down_proj");
  const std::string tensors = place.read("upper/adapter/adapter_model.safetensors");
  CHECK(tensors.find("model.layers.0.") == std::string::npos);
  CHECK(tensors.find("model.layers.1.") != std::string::npos);
  const auto eval = [&](const std::string& adapter) {
    return place.tandem({"eval", "--model", "basemodel", "--adapter", adapter, "--data", "b.bin", "--sequence-length",
                         "16", "--recipe", "fp32", "--json", "--backend", "vulkan", "--micro-batch", "2"});
  };
  const Outcome o = eval("upper/adapter");
  INFO(o.err);
  REQUIRE(o.exit == 0);
  CHECK_FALSE(o.says("warning"));
  const std::string metrics = place.read("upper/metrics.jsonl");
  const size_t at = metrics.rfind("{\"eval\"");
  CHECK(o.json().at("loss") ==
        parse_json(metrics.substr(at, metrics.find('\n', at) - at), "metrics.jsonl").at("eval").at("loss"));
  REQUIRE(place.tandem({"export", "upper/checkpoints/step_00000012", "--out", "exported"}).exit == 0);
  CHECK((place.read("exported/adapter_config.json") == place.read("upper/adapter/adapter_config.json")));
  REQUIRE(place.tandem({"export", "upper/adapter", "--merge", "--model", "basemodel", "--out", "merged"}).exit == 0);
  CHECK(place
            .tandem({"generate", "--model", "basemodel", "--adapter", "exported", "--prompt-tokens", "1,2",
                     "--max-tokens", "2", "--backend", "vulkan", "--json"})
            .exit == 0);
  // a run from it begins where it does, replayed or not
  for (const char* key : {"--replay.rounding=true", "--replay.directory=streams"}) {
    const Outcome again =
        place.train({fmt::format("--run.directory={}", key + 9), "--model.path=basemodel", "--model.from_scratch=false",
                     "--lora.adapter=upper/adapter", "--schedule.steps=3", key});
    INFO(again.err);
    CHECK(again.exit == 0);
  }
  CHECK((place.result_of("rounding=true") == place.result_of("directory=streams")));

  const auto with_layers = [&](const Json& layers) {
    config["layers_to_transform"] = layers;
    place.write("upper/adapter/adapter_config.json", config.dump());
    return eval("upper/adapter");
  };
  CHECK(with_layers({2, 1}).exit == 0);
  check_refused(with_layers(1), 3, {"layers_to_transform", "layer 2"});
  check_refused(with_layers({0, 1, 2}), 3, {"layers_to_transform", "layer 0"});
  check_refused(with_layers({1, 2, 7}), 3, {"layers_to_transform", "layer 7"});
  check_refused(with_layers({1, -2}), 3, {"layers_to_transform", "-2"});
  check_refused(with_layers({"1", "2"}), 3, {"layers_to_transform", "numbers"});
}

TEST_CASE("plan knows a replay: no lower layers in memory, and less time") {
  const Workplace place;
  const char* root = std::getenv("TANDEM_SOURCE_ROOT");
  const std::string source = root ? root : ".";
  const auto plan = [&](std::vector<std::string> more) {
    more.insert(more.begin(), {"plan", source + "/configs/qwen2.5-7b-lora.toml",
                               "--model.path=" + source + "/configs/models/qwen2.5-7b", "--device", "h200", "--json"});
    const Outcome o = place.tandem(more);
    INFO(o.err);
    REQUIRE(o.exit == 0);
    return o.json();
  };
  const Json whole = plan({"--lora.first_layer=14"}),
             upper = plan({"--lora.first_layer=14", "--replay.directory=unused"});
  const auto base = [](const Json& j) { return j.at("base").at("device_bytes").get<double>(); };
  const double layer = 233.0e6;  // codes of a layer of 7B: 4.1, 12.8, 12.8 and 203.7 million, and some KB
  CHECK(base(whole) - base(upper) >= 14 * layer);
  CHECK(upper.at("trainable_parameters") == whole.at("trainable_parameters"));
  CHECK(upper.at("step_seconds").get<double>() < 0.85 * whole.at("step_seconds").get<double>());
  CHECK(upper.at("replay") == Json({{"layer", 14}, {"bytes_per_token", 3584 + 28}}));
  CHECK(whole.at("replay").is_null());
}

}  // namespace
}  // namespace tandem::test
