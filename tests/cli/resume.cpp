// Runs that are stopped and resumed: by a signal or a kill at a chosen call, in each recipe, over two files and two
// epochs.
#include <doctest/doctest.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/file.h>
#include <unistd.h>

#include <filesystem>
#include <map>

#include "core/model/safetensors.h"
#include "core/run/checkpoint.h"
#include "core/run/manifest.h"
#include "tests/cli/run_place.h"

namespace tandem::test {
namespace {

namespace fs = std::filesystem;

TEST_CASE("a stopped run, resumed, ends to the bit as one that was not, on vulkan") {
  for (const char* recipe : {"fp32", "bf16", "fp8"}) {
    const RunPlace place(recipe);
    REQUIRE(place.train({"--run.directory=whole"}).exit == 0);
    const std::string expected = place.result("whole");
    // killed in the second save; stopped at the line of step 5, so in its evaluation; at that of step 7; in the last
    // save (a resumed run's first write is that of the lines it keeps)
    const std::pair<std::string, int> stops[] = {
        {fmt::format("write:12:s{}:.tmp-step_00000008", SIGKILL), 128 + SIGKILL},
        {fmt::format("write:2:s{}:metrics.jsonl", SIGTERM), kStopped},
        {fmt::format("write:4:s{}:metrics.jsonl", SIGINT), kStopped},
        {fmt::format("fsync:1:s{}:.tmp-step_00000012", SIGTERM), kStopped}};
    bool first = true;
    std::vector<uint64_t> break_offs;
    for (const auto& [fault, exit] : stops) {
      CAPTURE(fault);
      const Outcome o = place.train(first ? std::vector<std::string>{} : std::vector<std::string>{"--resume"}, fault);
      INFO(o.err);
      CHECK(o.exit == exit);
      if (!first) break_offs.push_back(checkpoint_steps(place.path("run/checkpoints")).front());
      if (break_offs.size() == 1) CHECK(place.read("run/metrics.jsonl").find("eval") == std::string::npos);
      first = false;
    }
    CHECK(break_offs == std::vector<uint64_t>{5, 7, 12});
    CHECK(place.resume().exit == 0);
    CHECK((place.result("run") == expected));
    fs::remove_all(place.path("run/model"));
    CHECK(place.resume().exit == 0);  // a finished run completes its model
    CHECK((place.result("run") == expected));
  }
}

TEST_CASE("a run with muon, stopped and resumed, ends to the bit as one that was not, on vulkan") {
  const RunPlace place("bf16");
  const std::string muon = "--optimizer.kind=muon";
  REQUIRE(place.train({muon, "--run.directory=whole"}).exit == 0);
  CHECK(place.train({muon}, fmt::format("write:4:s{}:metrics.jsonl", SIGTERM)).exit == kStopped);
  const Outcome other = place.train({"--resume"});
  CHECK(other.exit == 2);
  CHECK(other.says("[optimizer.kind] was \"muon\" and is \"adamw\"; a resumed run keeps it"));
  CHECK(place.train({muon, "--resume"}).exit == 0);
  CHECK((place.result("run") == place.result("whole")));
}

TEST_CASE(
    "a run that clips by the last norm, stopped and resumed with its gradients released, ends to the bit, on vulkan") {
  const RunPlace place("bf16");
  const std::string previous = "--optimizer.clip_by=previous", clip = "--optimizer.grad_clip=0.05";
  REQUIRE(place.train({previous, clip, "--run.directory=whole"}).exit == 0);
  CHECK(place.read("whole/metrics.jsonl").find("\"skipped_tensors\":0") != std::string::npos);
  CHECK(place.train({previous, clip}, fmt::format("write:4:s{}:metrics.jsonl", SIGTERM)).exit == kStopped);
  const std::string checkpoint = checkpoint_name(checkpoint_steps(place.path("run/checkpoints")).front());
  const Json manifest = parse_json(place.read("run/checkpoints/" + checkpoint + "/manifest.json"), "manifest");
  CHECK(manifest.at("last_norm").get<uint32_t>() > 0x3a000000);  // a norm above 2^-11, by its bits
  CHECK(place.train({previous, clip, "--memory.release_gradients=once", "--resume"}).exit == 0);
  CHECK((place.result("run") == place.result("whole")));
  const Outcome other = place.train({clip, "--resume"});
  CHECK(other.exit == 2);
  CHECK(other.says("[optimizer.clip_by] was \"previous\" and is \"step\"; a resumed run keeps it"));
}

TEST_CASE(
    "a run with each kind of optimizer, killed or stopped and resumed, ends to the bit as one that was not, on "
    "vulkan") {
  const std::vector<std::string> kinds[] = {
      {"--optimizer.kind=muon", "--optimizer.m_dtype=e4m3", "--optimizer.v_dtype=e5m3"},
      {"--optimizer.kind=apollo", "--optimizer.projection_rank=5", "--optimizer.projection_every=3"},
      {"--optimizer.kind=apollo", "--optimizer.projection_rank=1", "--optimizer.scaling=tensor",
       "--optimizer.projection_scale=128"},
      {"--optimizer.kind=galore", "--optimizer.projection_rank=5", "--optimizer.projection_every=3",
       "--optimizer.master_dtype=f32"},
      {"--optimizer.kind=adalomo", "--optimizer.clip_by=previous", "--optimizer.grad_clip=0.05"}};
  for (const auto& kind : kinds) {
    CAPTURE(kind[0] + kind[1]);
    const RunPlace place("bf16");
    place.write_model("model", {{"intermediate_size", 173}});
    const auto train = [&](std::vector<std::string> more, const std::string& fault = "") {
      more.insert(more.begin(), kind.begin(), kind.end());
      return place.train(std::move(more), fault);
    };
    const Outcome whole = train({"--run.directory=whole"});
    INFO(whole.err);
    REQUIRE(whole.exit == 0);
    CHECK(train({}, fmt::format("write:12:s{}:.tmp-step_00000008", SIGKILL)).exit == 128 + SIGKILL);
    CHECK(train({"--resume"}, fmt::format("write:4:s{}:metrics.jsonl", SIGTERM)).exit == kStopped);
    const bool has_m = kind[0] != "--optimizer.kind=adalomo";
    CHECK(train({"--resume", has_m ? "--memory.offload=[\"m\", \"v\"]" : "--memory.release_gradients=once"}).exit == 0);
    CHECK((place.result("run") == place.result("whole")));
  }
}

// The shapes of a checkpoint's optimizer states, by name.
std::map<std::string, Shape> states_in(const RunPlace& place, const std::string& checkpoint) {
  std::map<std::string, Shape> shapes;
  for (const auto& entry : fs::directory_iterator(place.path(checkpoint)))
    if (entry.path().filename().string().starts_with("optimizer-")) {
      const TensorFile file(entry.path().string());
      for (const auto& [name, info] : file.tensors()) shapes[name] = info.shape;
    }
  return shapes;
}

TEST_CASE("a checkpoint has the projected moments of each stored tensor, and the norm that limits apollo, on vulkan") {
  const RunPlace place("bf16");
  place.write_model("model", {{"intermediate_size", 173}});
  REQUIRE(place.train({"--optimizer.kind=apollo", "--optimizer.projection_rank=5"}).exit == 0);
  const std::map<std::string, Shape> shapes = states_in(place, "run/checkpoints/step_00000012/");
  const std::string layer = "model.layers.1.";
  CHECK(shapes.at(layer + "self_attn.q_proj.weight.m") == Shape{32, 5});
  CHECK(shapes.at(layer + "self_attn.k_proj.weight.v") == Shape{32, 5});  // wide: of its columns
  CHECK(shapes.at(layer + "mlp.gate_proj.weight.m") == Shape{173, 5});
  CHECK(shapes.at(layer + "mlp.down_proj.weight.m") == Shape{173, 5});
  CHECK(shapes.at(layer + "mlp.down_proj.weight.norm") == Shape{1});
  CHECK(!shapes.contains("model.embed_tokens.weight.norm"));
}

TEST_CASE("a checkpoint has adalomo's means of each stored tensor by row and by column, on vulkan") {
  const RunPlace place("bf16");
  place.write_model("model", {{"intermediate_size", 173}});
  REQUIRE(place.train({"--optimizer.kind=adalomo"}).exit == 0);
  const std::map<std::string, Shape> shapes = states_in(place, "run/checkpoints/step_00000012/");
  const std::string layer = "model.layers.1.";
  CHECK(shapes.at(layer + "self_attn.k_proj.weight.row") == Shape{16});
  CHECK(shapes.at(layer + "self_attn.k_proj.weight.column") == Shape{32});
  CHECK(shapes.at(layer + "mlp.up_proj.weight.row") == Shape{173});
  CHECK(shapes.at(layer + "mlp.up_proj.weight.column") == Shape{32});
  CHECK(shapes.at(layer + "mlp.down_proj.weight.column") == Shape{173});
  CHECK(shapes.at("model.norm.weight.v") == Shape{32});
  CHECK(!shapes.contains("model.norm.weight.row"));
  CHECK(!shapes.contains("model.embed_tokens.weight.v"));
}

TEST_CASE("a model with an odd ffn width is trained, stopped, resumed and exported, on vulkan") {
  for (const char* recipe : {"fp32", "bf16"}) {
    CAPTURE(std::string(recipe));
    const RunPlace place(recipe);
    place.write_model("model", {{"intermediate_size", 173}});
    REQUIRE(place.train({"--run.directory=whole"}).exit == 0);
    CHECK(place.train({}, fmt::format("write:4:s{}:metrics.jsonl", SIGTERM)).exit == kStopped);
    CHECK(place.resume().exit == 0);
    CHECK((place.result("run") == place.result("whole")));

    REQUIRE(place.tandem({"export", "run/checkpoints/step_00000012", "--out", "exported"}).exit == 0);
    CHECK((place.read("exported/model.safetensors") == place.read("run/model/model.safetensors")));
    const TensorFile weights(place.path("exported/model.safetensors"));
    CHECK(weights.info("model.layers.1.mlp.up_proj.weight").shape == Shape{173, 32});
    CHECK(weights.info("model.layers.1.mlp.down_proj.weight").shape == Shape{32, 173});
  }
}

TEST_CASE("a run for which memory is short is planned anew where keys are auto, and ends in the same bits, on vulkan") {
  const RunPlace place;
  REQUIRE(place.train({"--run.directory=whole"}).exit == 0);
  const uint64_t bytes = parse_json(place.read("whole/plan.json"), "plan.json").at("device_bytes");
  const std::string less = fmt::format("--memory.device={}", bytes - (32 << 10));
  const Outcome fixed =
      place.train({less, "--memory.recompute=none", "--memory.offload=none", "--memory.release_gradients=none"});
  CHECK(fixed.exit == 4);
  CHECK(fixed.says("the largest that fits"));
  const Outcome planned = place.train({less, "--memory.lm_head_chunks=1"});
  INFO(planned.err);
  CHECK(planned.exit == 0);
  CHECK(parse_json(place.read("run/plan.json"), "plan.json").at("device_bytes") <= bytes - (32 << 10));
  CHECK((place.result("run") == place.result("whole")));
}

TEST_CASE("a batch that the planner chose is recorded, and kept when the run is resumed, on vulkan") {
  const RunPlace place;
  const std::vector<std::string> chosen = {"--batch.sequences=6", "--batch.micro_batch=auto"};
  CHECK(place.train(chosen, fmt::format("write:7:s{}:metrics.jsonl", SIGTERM)).exit == kStopped);
  const Json plan = parse_json(place.read("run/plan.json"), "plan.json");
  const uint32_t B = plan.at("micro_batch"), A = plan.at("gradient_accumulation");
  CHECK(B * A == 6);
  CHECK(place.read("run/config.toml").find("micro_batch = \"auto\"") != std::string::npos);
  const uint64_t step = checkpoint_steps(place.path("run/checkpoints")).front();
  const Json manifest =
      parse_json(place.read(fmt::format("run/checkpoints/{}/manifest.json", checkpoint_name(step))), "manifest");
  CHECK(manifest.at("plan").at("micro_batch") == B);
  CHECK(manifest.at("plan").at("gradient_accumulation") == A);

  std::vector<std::string> resumed = chosen;
  resumed.insert(resumed.end(), {"--resume", "--memory.recompute=block"});
  const Outcome kept = place.train(resumed);
  INFO(kept.err);
  CHECK(kept.exit == 0);
  CHECK_FALSE(kept.says("batch.micro_batch was"));
  const std::vector<std::string> set = {fmt::format("--batch.micro_batch={}", B),
                                        fmt::format("--batch.gradient_accumulation={}", A), "--run.directory=set"};
  REQUIRE(place.train(set).exit == 0);
  CHECK((place.result("run") == place.result("set")));

  const Outcome other = place.train({"--resume", "--batch.sequences=6", "--batch.micro_batch=1"});
  CHECK(other.exit == 0);
  CHECK(other.says("warning: batch.micro_batch was"));
}

TEST_CASE("a resumed run may take another memory policy, and ends in the same bits, on vulkan") {
  const RunPlace place;
  REQUIRE(place.train({"--run.directory=whole"}).exit == 0);
  const std::vector<std::string> offloaded = {"--memory.recompute=block", "--memory.offload=[\"m\", \"gradients\"]"};
  CHECK(place.train(offloaded, fmt::format("write:7:s{}:metrics.jsonl", SIGTERM)).exit == kStopped);
  const Json plan = parse_json(place.read("run/plan.json"), "plan.json");
  CHECK(plan.at("recompute") == Json{"block"});
  CHECK(plan.at("offload") == Json{"m", "gradients"});
  const std::string lines = place.read("run/metrics.jsonl");
  const Json first = parse_json(lines.substr(0, lines.find('\n')), "metrics.jsonl");
  CHECK(first.at("memory") == plan.at("device_bytes"));
  CHECK(plan.at("device_bytes") < parse_json(place.read("whole/plan.json"), "plan.json").at("device_bytes"));
  CHECK(place.train({"--resume", "--memory.offload=[\"parameters\"]"}).exit == 0);
  CHECK((place.result("run") == place.result("whole")));
}

TEST_CASE("a checkpoint of another device or backend is resumed with a warning that names both, on vulkan") {
  const RunPlace place;
  REQUIRE(place.train({}, fmt::format("write:4:s{}:metrics.jsonl", SIGTERM)).exit == kStopped);
  const Outcome same = place.train({"--resume"}, fmt::format("write:2:s{}:metrics.jsonl", SIGTERM));
  REQUIRE(same.exit == kStopped);
  CHECK_FALSE(same.says("the checkpoint was made on"));
  const uint64_t step = checkpoint_steps(place.path("run/checkpoints")).front();
  const std::string name = fmt::format("run/checkpoints/{}/manifest.json", checkpoint_name(step));
  const Json manifest = parse_json(place.read(name), name);
  for (const char* key : {"device", "backend"}) {
    Json other = manifest;
    other["plan"][key] = "another one";
    place.write(name, sealed(other));
    fs::remove_all(place.path("copy"));
    fs::copy(place.path("run"), place.path("copy"), fs::copy_options::recursive);
    const Outcome o = place.resume("--run.directory=copy");
    INFO(o.err);
    CHECK(o.exit == 0);
    CHECK(o.says("warning: the checkpoint was made on "));
    CHECK(o.says("another one"));
    CHECK(o.says(manifest.at("plan").at(std::string(key) == "device" ? "backend" : "device").get<std::string>()));
  }
}

TEST_CASE("resume names what is wrong and takes the next older checkpoint, on vulkan") {
  const RunPlace place;
  CHECK(place.resume().exit == 3);
  CHECK_FALSE(file_exists(place.path("run")));
  REQUIRE(place.train({}).exit == 0);
  CHECK(checkpoint_steps(place.path("run/checkpoints")) == std::vector<uint64_t>{12, 8});
  CHECK(place.train({}).exit == 2);
  const std::string expected = place.result("run");

  const Outcome other = place.resume("--optimizer.beta1=0.5");
  CHECK(other.exit == 2);
  CHECK(other.says("optimizer.beta1"));
  {
    const int lock = open(place.path("run/.lock").c_str(), O_RDWR | O_CLOEXEC);
    REQUIRE(flock(lock, LOCK_EX) == 0);
    const Outcome second = place.resume();
    CHECK(second.exit == 2);
    CHECK(second.says("in use"));
    close(lock);
  }
  const std::string tokens = place.read("b.bin");
  place.write("b.bin", tokens.substr(0, tokens.size() - 4) + std::string(4, '\1').replace(1, 3, 3, '\0'));
  const Outcome changed = place.resume();
  CHECK(changed.exit == 3);
  CHECK(changed.says("b.bin"));
  place.write("b.bin", tokens);

  const std::string model = place.read("model/config.json");
  place.write_model("model", {{"intermediate_size", 64}});
  const Outcome rewritten = place.resume();
  CHECK(rewritten.exit == 3);
  CHECK(rewritten.says("model/config.json"));
  place.write("model/config.json", model);

  const std::string optimizer = "run/checkpoints/step_00000012/optimizer-00001-of-00001.safetensors";
  std::string damaged = place.read(optimizer);
  damaged[damaged.size() / 2] = char(damaged[damaged.size() / 2] ^ 4);
  place.write(optimizer, damaged);
  CHECK(place.tandem({"export", "run/checkpoints/step_00000012", "--out", "exported"}).exit == 3);
  const Outcome resumed = place.resume();
  CHECK(resumed.exit == 0);
  CHECK(resumed.says("step_00000012 cannot be used"));
  CHECK(resumed.says("resumed after step 8"));
  CHECK((place.result("run") == expected));

  REQUIRE(place.tandem({"export", "run/checkpoints/step_00000012", "--out", "exported"}).exit == 0);
  for (const char* name : {"config.json", "model.safetensors"})
    CHECK((place.read(std::string("exported/") + name) == place.read(std::string("run/model/") + name)));
  CHECK(place.tandem({"export", "run/checkpoints/step_00000012", "--out", "exported"}).exit == 2);
}

TEST_CASE("a checkpoint of another run is refused, on vulkan") {
  const RunPlace place;
  place.write_model("other", {{"intermediate_size", 64}});
  const std::string at = "checkpoints/" + checkpoint_name(12);
  REQUIRE(place.train({"--run.directory=others", "--model.path=other"}).exit == 0);
  REQUIRE(place.train({}).exit == 0);
  fs::remove_all(place.path("run/" + at));
  fs::copy(place.path("others/" + at), place.path("run/" + at));
  const Outcome o = place.resume();
  INFO(o.err);
  CHECK(o.exit == 2);
  CHECK(o.says("model.path"));
  CHECK(o.says("other"));
}

TEST_CASE("a token file that is cut short under a run ends it with 3, and it goes on once it is restored, on vulkan") {
  const RunPlace place;
  REQUIRE(place.train({"--run.directory=whole"}).exit == 0);
  const std::string tokens = place.read("a.bin");
  // It ends at once, so the checkpoint that is being written may be lost: there are others.
  const Outcome cut = place.train({"--checkpoint.every=1"}, "write:5:ta.bin:metrics.jsonl");
  INFO(cut.err);
  CHECK(cut.exit == 3);
  CHECK(cut.says("cut short"));
  CHECK(place.resume().exit == 3);
  place.write("a.bin", tokens);
  CHECK(place.resume().exit == 0);
  CHECK((place.result("run") == place.result("whole")));
}

TEST_CASE("a full disk keeps the last checkpoint, on vulkan") {
  const RunPlace place;
  REQUIRE(place.train({"--run.directory=whole"}).exit == 0);
  for (const auto& [fault, left] : {std::pair("write:9:{}:.tmp-step_00000008", std::vector<uint64_t>{4}),
                                    std::pair("write:6:{}:metrics.jsonl", std::vector<uint64_t>{4}),
                                    std::pair("write:2:{}:.tmp-model", std::vector<uint64_t>{12, 8}),
                                    std::pair("fsync:1:{}:.tmp-model", std::vector<uint64_t>{12, 8}),
                                    std::pair("rename:1:{}:.tmp-model", std::vector<uint64_t>{12, 8})}) {
    const Outcome full = place.train({}, fmt::format(fmt::runtime(fault), ENOSPC));
    INFO(fault, ": ", full.err);
    CHECK(full.exit == 7);
    CHECK(checkpoint_steps(place.path("run/checkpoints")) == left);
    CHECK(place.read("run/metrics.jsonl").ends_with("\n"));
    CHECK_FALSE(file_exists(place.path("run/model")));
    CHECK(place.resume().exit == 0);
    CHECK((place.result("run") == place.result("whole")));
    fs::remove_all(place.path("run"));
  }
}

}  // namespace
}  // namespace tandem::test
