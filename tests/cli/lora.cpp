// LoRA runs as users have them: an adapter out and in, stopped and resumed, exported and merged; 40 damaged adapters.
#include <doctest/doctest.h>
#include <signal.h>

#include <cstring>
#include <filesystem>
#include <map>

#include "core/model/safetensors.h"
#include "core/model/safetensors_writer.h"
#include "tests/cli/run_place.h"

namespace tandem::test {
namespace {

namespace fs = std::filesystem;

// A workplace with a base of two layers and the configuration of a LoRA run on it.
struct LoraPlace : RunPlace {
  explicit LoraPlace(const std::string& recipe = "fp32") : RunPlace(recipe) {
    REQUIRE(train({"--run.directory=base", "--schedule.steps=2", "--data.eval=[]"}).exit == 0);
    fs::rename(path("base/model"), path("basemodel"));
  }
  Outcome lora(std::vector<std::string> more, const std::string& fault = "") const {
    more.insert(more.end(), {"--model.path=basemodel", "--model.from_scratch=false", "--lora.rank=5"});
    return train(std::move(more), fault);
  }
  std::string adapter_of(const std::string& run) const {
    return read(run + "/adapter/adapter_config.json") + read(run + "/adapter/adapter_model.safetensors");
  }
  Outcome eval(const std::string& model, const std::string& adapter, const std::string& recipe) const {
    std::vector<std::string> arguments = {
        "eval",     "--model", model,    "--data",    "b.bin",  "--sequence-length", "16",
        "--recipe", recipe,    "--json", "--backend", "vulkan", "--micro-batch",     "2"};
    if (!adapter.empty()) arguments.insert(arguments.end(), {"--adapter", adapter});
    return tandem(arguments);
  }
};

double last_evaluation(const std::string& metrics) {
  const size_t at = metrics.rfind("{\"eval\"");
  return parse_json(metrics.substr(at, metrics.find('\n', at) - at), "metrics.jsonl").at("eval").at("loss");
}

TEST_CASE("a LoRA run stopped and resumed ends with the same adapter, which eval reads, on vulkan") {
  for (const char* recipe : {"fp32", "bf16", "fp8"}) {
    CAPTURE(std::string(recipe));
    const LoraPlace place(recipe);
    const std::vector<std::string> master = recipe == std::string("fp32")
                                                ? std::vector<std::string>{}
                                                : std::vector<std::string>{"--optimizer.master_dtype=f32"};
    const auto run = [&](std::vector<std::string> more, const std::string& fault = "") {
      more.insert(more.end(), master.begin(), master.end());
      return place.lora(more, fault);
    };
    const Outcome whole = run({"--run.directory=whole"});
    INFO(whole.err);
    REQUIRE(whole.exit == 0);
    CHECK_FALSE(fs::exists(place.path("whole/model")));
    CHECK(run({}, fmt::format("write:4:s{}:metrics.jsonl", SIGTERM)).exit == kStopped);
    CHECK(run({"--resume"}, fmt::format("write:9:s{}:.tmp-step_00000008", SIGKILL)).exit == 128 + SIGKILL);
    // the adapter of a resumed run does not depend on where its base lives
    CHECK(run({"--resume", "--memory.offload=[\"parameters\"]", "--memory.recompute=block"}).exit == 0);
    CHECK((place.adapter_of("run") == place.adapter_of("whole")));

    const Outcome o = place.eval("basemodel", "run/adapter", recipe);
    INFO(o.err);
    REQUIRE(o.exit == 0);
    CHECK(o.json().at("loss").get<double>() == last_evaluation(place.read("run/metrics.jsonl")));
    const Outcome from_checkpoint = place.eval("basemodel", "run/checkpoints/step_00000012", recipe);
    CHECK(from_checkpoint.json().at("loss") == o.json().at("loss"));
    CHECK(place.eval("basemodel", "", recipe).json().at("loss") != o.json().at("loss"));

    // an exported adapter is the run's, and a run can start from it
    REQUIRE(place.tandem({"export", "run/checkpoints/step_00000012", "--out", "exported"}).exit == 0);
    CHECK((place.read("exported/adapter_model.safetensors") == place.read("run/adapter/adapter_model.safetensors")));
    const Outcome again = place.train({"--run.directory=again", "--model.path=basemodel", "--model.from_scratch=false",
                                       "--lora.adapter=exported", "--schedule.steps=1"});
    INFO(again.err);
    CHECK(again.exit == 0);

    // merged, the function is the adapter's but for the rounding of weights
    REQUIRE(place.tandem({"export", "run/checkpoints/step_00000012", "--merge", "--out", "merged"}).exit == 0);
    REQUIRE(place.tandem({"export", "run/adapter", "--merge", "--model", "basemodel", "--out", "merged2"}).exit == 0);
    CHECK((place.read("merged/model.safetensors") == place.read("merged2/model.safetensors")));
    const double merged = place.eval("merged", "", recipe).json().at("loss");
    CHECK(merged ==
          doctest::Approx(o.json().at("loss").get<double>()).epsilon(recipe == std::string("fp32") ? 1e-5 : 2e-2));
  }
}

TEST_CASE("a LoRA run with 8-bit states, stopped and resumed, ends with the same adapter, on vulkan") {
  for (const char* recipe : {"bf16", "fp8"}) {
    CAPTURE(std::string(recipe));
    const LoraPlace place(recipe);
    const auto run = [&](std::vector<std::string> more, const std::string& fault = "") {
      more.insert(more.end(), {"--optimizer.m_dtype=e4m3", "--optimizer.v_dtype=e5m3"});
      if (recipe == std::string("fp8")) more.emplace_back("--optimizer.master_dtype=f32");
      return place.lora(more, fault);
    };
    const Outcome whole = run({"--run.directory=whole"});
    INFO(whole.err);
    REQUIRE(whole.exit == 0);
    const TensorFile states(place.path("whole/checkpoints/step_00000012/optimizer-00001-of-00001.safetensors"));
    CHECK(states.info("base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight.m").shape == Shape{5, 32});
    CHECK(states.info("base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight.m").type == StoredType::f8_e4m3);
    CHECK(states.info("base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight.v_scale").shape == Shape{5, 1});
    CHECK(run({}, fmt::format("write:4:s{}:metrics.jsonl", SIGTERM)).exit == kStopped);
    CHECK(run({"--resume"}, fmt::format("write:9:s{}:.tmp-step_00000008", SIGKILL)).exit == 128 + SIGKILL);
    CHECK(run({"--resume", "--memory.offload=[\"m\", \"v\"]"}).exit == 0);
    CHECK((place.adapter_of("run") == place.adapter_of("whole")));
  }
}

TEST_CASE("resuming a LoRA run refuses a base that changed, and other lora keys") {
  const LoraPlace place;
  REQUIRE(place.lora({"--schedule.steps=4"}).exit == 0);
  check_refused(place.train({"--resume", "--schedule.steps=4", "--model.path=basemodel", "--model.from_scratch=false",
                             "--lora.rank=6"}),
                2, {"lora.rank", "5", "6"});
  std::string bytes = place.read("basemodel/model.safetensors");
  bytes.back() = char(bytes.back() ^ 1);
  place.write("basemodel/model.safetensors", bytes);
  check_refused(place.lora({"--resume", "--schedule.steps=4"}), 3, {"tensor model.", "changed"});
}

TEST_CASE("lora keys that mean nothing, or that the adapter has otherwise, are refused") {
  const LoraPlace place;
  REQUIRE(place.lora({"--schedule.steps=1"}).exit == 0);
  const auto refused = [&](std::vector<std::string> arguments, std::initializer_list<std::string_view> named) {
    arguments.insert(arguments.begin(), {"train", "c.toml", "--run.directory=other", "--model.path=basemodel",
                                         "--model.from_scratch=false"});
    check_refused(place.tandem(arguments), 2, named);
    CHECK_FALSE(file_exists(place.path("other")));
  };
  refused({"--lora.alpha=16"}, {"lora.alpha", "lora.rank"});
  refused({"--lora.rslora=true"}, {"lora.rslora"});
  refused({"--lora.target_modules=[\"q_proj\"]"}, {"lora.target_modules"});
  refused({"--lora.rank=257"}, {"lora.rank", "256"});
  refused({"--lora.rank=4", "--lora.dropout=0.1"}, {"lora.dropout"});
  refused({"--lora.rank=4", "--lora.target_modules=[\"q_prj\"]"}, {"q_prj", "q_proj"});
  refused({"--lora.rank=4", "--lora.target_modules=[\"lm_head\"]"}, {"lm_head"});
  refused({"--lora.rank=4", "--lora.target_modules=[\"embed_tokens\"]"}, {"embed_tokens"});
  refused({"--lora.rank=4", "--lora.target_modules=[]"}, {"lora.target_modules"});
  refused({"--lora.rank=4", "--lora.alpha=0"}, {"lora.alpha"});
  refused({"--lora.adapter=run/adapter", "--lora.rank=6"}, {"lora.rank", "6", "5"});
  refused({"--lora.adapter=run/adapter", "--lora.alpha=7"}, {"lora.alpha", "7", "32"});
  refused({"--lora.rank=4", "--distributed.devices=2", "--distributed.zero=2"}, {"distributed.zero"});
  check_refused(place.tandem({"export", "run/adapter", "--merge", "--out", "m"}), 2, {"--model"});
  check_refused(place.tandem({"export", "run/checkpoints/step_00000001", "--model", "basemodel", "--out", "m"}), 2,
                {"--merge"});
  check_refused(place.eval("basemodel", "base/checkpoints/step_00000002", "fp32"), 3, {"step_00000002", "LoRA"});
}

std::string source(const std::string& path) {
  const char* root = std::getenv("TANDEM_SOURCE_ROOT");
  return std::string(root ? root : ".") + "/" + path;
}

TEST_CASE("plan: LoRA on 32B fits a 16 GB card with 64 GB on the host, and copies hide behind compute") {
  const Workplace place;
  const Outcome o = place.tandem({"plan", source("configs/qwen2.5-32b-lora.toml"),
                                  "--model.path=" + source("configs/models/qwen2.5-32b"), "--device",
                                  "rtx-5060-ti-16gb", "--host-memory", "64GB", "--json"});
  INFO(o.err);
  REQUIRE(o.exit == 0);
  const Json plan = o.json();
  CHECK(plan.at("fits") == true);
  CHECK(plan.at("exposed_copy_seconds").get<double>() < 0.05 * plan.at("step_seconds").get<double>());
  CHECK(plan.at("trainable_parameters") == 134217728);
  CHECK(plan.at("base").at("host_bytes") > 0);
  CHECK(plan.at("base").at("layers_on_device") <= 64);
  CHECK(plan.at("base").at("transposes_remade") <= 64);
}

// ---- damaged adapters ----

using Tensors = std::map<std::string, std::pair<Shape, std::vector<float>>>;

Tensors read_tensors(const std::string& file) {
  Tensors tensors;
  const TensorFile stored(file);
  for (const auto& [name, info] : stored.tensors()) {
    std::vector<float> values(info.shape.count());
    stored.read(name, DType::f32, std::as_writable_bytes(std::span(values)));
    tensors[name] = {info.shape, values};
  }
  return tensors;
}

void write_tensors(const std::string& file, const Tensors& tensors) {
  std::vector<OutputTensor> out;
  for (const auto& [name, tensor] : tensors)
    out.push_back({name, {DType::f32, tensor.first}, [&] { return std::as_bytes(std::span(tensor.second)); }});
  write_safetensors(file, out);
}

struct Damage {
  const char* what;
  int exit;
  const char* named;
  std::function<void(Json& config, Tensors& tensors)> make;
};

const std::string kA = "base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight",
                  kB = "base_model.model.model.layers.0.self_attn.q_proj.lora_B.weight",
                  kDown = "base_model.model.model.layers.1.mlp.down_proj.lora_B.weight";

std::vector<Damage> damages() {
  const auto set = [](const char* key, Json value) { return [=](Json& c, Tensors&) { c[key] = value; }; };
  const auto add = [](const std::string& name, Shape shape) {
    return [=](Json&, Tensors& t) { t[name] = {shape, std::vector<float>(shape.count())}; };
  };
  const auto reshape = [](const std::string& name, Shape shape) {
    return [=](Json&, Tensors& t) { t[name] = {shape, std::vector<float>(shape.count())}; };
  };
  const auto remove = [](const std::string& name) { return [=](Json&, Tensors& t) { t.erase(name); }; };
  return {
      {"another method", 2, "peft_type", set("peft_type", "IA3")},
      {"no method", 2, "peft_type", [](Json& c, Tensors&) { c.erase("peft_type"); }},
      {"DoRA", 2, "use_dora", set("use_dora", true)},
      {"biases of B", 2, "lora_bias", set("lora_bias", true)},
      {"Conv1D weights", 2, "fan_in_fan_out", set("fan_in_fan_out", true)},
      {"all biases", 2, "bias", set("bias", "all")},
      {"biases of LoRA", 2, "bias", set("bias", "lora_only")},
      {"whole modules", 2, "modules_to_save", set("modules_to_save", {"lm_head"})},
      {"ranks by pattern", 2, "rank_pattern", set("rank_pattern", {{"q_proj", 4}})},
      {"alphas by pattern", 2, "alpha_pattern", set("alpha_pattern", {{"q_proj", 4}})},
      {"parameters", 2, "target_parameters", set("target_parameters", {"experts.down"})},
      {"layers twice", 2, "layer_replication", set("layer_replication", {{0, 1}})},
      {"token rows", 2, "trainable_token_indices", set("trainable_token_indices", {1, 2})},
      {"PiSSA", 2, "pissa", set("init_lora_weights", "pissa")},
      {"PiSSA by steps", 2, "pissa_niter_16", set("init_lora_weights", "pissa_niter_16")},
      {"OLoRA", 2, "olora", set("init_lora_weights", "olora")},
      {"CorDA", 2, "corda", set("init_lora_weights", "corda")},
      {"LoftQ", 2, "loftq", set("init_lora_weights", "loftq")},
      {"rank 0", 2, "r is 0", set("r", 0)},
      {"rank 257", 2, "257", set("r", 257)},
      {"alpha 0", 2, "lora_alpha", set("lora_alpha", 0)},
      {"an unknown module", 2, "qq_proj", set("target_modules", {"qq_proj"})},
      {"the head", 2, "lm_head", set("target_modules", {"q_proj", "lm_head"})},
      {"no rank", 3, "key r", [](Json& c, Tensors&) { c.erase("r"); }},
      {"a rank in words", 3, "r is", set("r", "five")},
      {"no alpha", 3, "lora_alpha", [](Json& c, Tensors&) { c.erase("lora_alpha"); }},
      {"an alpha in words", 3, "lora_alpha", set("lora_alpha", "much")},
      {"rslora in words", 3, "use_rslora", set("use_rslora", "yes")},
      {"targets of numbers", 3, "target_modules", set("target_modules", {1, 2})},
      {"another rank than the tensors'", 3, "shape", set("r", 6)},
      {"a path without tensors", 3, "model.layers.7", set("target_modules", {"model.layers.7.self_attn.q_proj"})},
      {"A without B", 3, "lora_B", remove(kB)},
      {"B without A", 3, "lora_A", remove(kA)},
      {"a wrong A", 3, "lora_A", reshape(kA, {5, 8})},
      {"a wrong B", 3, "lora_B", reshape(kDown, {16, 5})},
      {"a flat B", 3, "lora_B", reshape(kDown, {160})},
      {"a layer too many", 3, "layers.2",
       add("base_model.model.model.layers.2.self_attn.q_proj.lora_A.weight", {5, 32})},
      {"a module that is not there", 3, "conv",
       add("base_model.model.model.layers.0.self_attn.conv.lora_A.weight", {5, 32})},
      {"a tensor of the base", 3, "lm_head", add("base_model.model.lm_head.weight", {4, 4})},
      {"no tensors", 3, "no tensor", [](Json&, Tensors& t) { t.clear(); }},
  };
}

TEST_CASE("40 damaged adapters are refused") {
  const LoraPlace place;
  REQUIRE(place.lora({"--schedule.steps=1", "--data.eval=[]"}).exit == 0);
  const Json config = parse_json(place.read("run/adapter/adapter_config.json"), "adapter_config.json");
  const Tensors tensors = read_tensors(place.path("run/adapter/adapter_model.safetensors"));
  REQUIRE(tensors.contains(kDown));
  const std::vector<Damage> list = damages();
  CHECK(list.size() == 40);
  fs::create_directory(place.path("damaged"));
  for (const Damage& damage : list) {
    CAPTURE(std::string(damage.what));
    Json changed = config;
    Tensors moved = tensors;
    damage.make(changed, moved);
    place.write("damaged/adapter_config.json", changed.dump());
    write_tensors(place.path("damaged/adapter_model.safetensors"), moved);
    check_refused(place.eval("basemodel", "damaged", "fp32"), damage.exit, {damage.named});
  }
  // bytes, in place of keys
  const auto refused = [&](const char* named) {
    check_refused(place.eval("basemodel", "damaged", "fp32"), 3, {named});
  };
  place.write("damaged/adapter_config.json", config.dump().substr(0, 40));
  refused("adapter_config.json");
  place.write("damaged/adapter_config.json", config.dump());
  place.write("damaged/adapter_model.safetensors", place.read("run/adapter/adapter_model.safetensors").substr(0, 999));
  refused("adapter_model.safetensors");
  fs::remove(place.path("damaged/adapter_model.safetensors"));
  refused("adapter_model.safetensors");
  fs::remove_all(place.path("damaged"));
  refused("adapter_config.json");
}

TEST_CASE("keys that PEFT writes and that say nothing are read past; others are named in a warning") {
  const LoraPlace place;
  REQUIRE(place.lora({"--schedule.steps=1", "--data.eval=[]"}).exit == 0);
  Json config = parse_json(place.read("run/adapter/adapter_config.json"), "adapter_config.json");
  config["peft_version"] = "0.21.2", config["megatron_core"] = "megatron.core", config["qalora_group_size"] = 16;
  config["eva_config"] = nullptr, config["loftq_config"] = Json::object(), config["auto_mapping"] = nullptr;
  config["target_modules"] = "a rule that is not evaluated";
  place.write("run/adapter/adapter_config.json", config.dump());
  Outcome o = place.eval("basemodel", "run/adapter", "fp32");
  CHECK(o.exit == 0);
  CHECK_FALSE(o.says("warning"));
  config["some_new_key"] = 3;
  place.write("run/adapter/adapter_config.json", config.dump());
  o = place.eval("basemodel", "run/adapter", "fp32");
  CHECK(o.exit == 0);
  CHECK(o.says("some_new_key"));
}

}  // namespace
}  // namespace tandem::test
