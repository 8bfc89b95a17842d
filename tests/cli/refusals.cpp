// What `tandem` refuses: the exit code, what the message names, nothing on standard output, no run directory.
#include <doctest/doctest.h>
#include <fcntl.h>
#include <unistd.h>

#include "tests/cli/command.h"

namespace tandem::test {
namespace {

// a workplace in which small_config() trains
struct TrainingPlace : Workplace {
  TrainingPlace() {
    write_model("model");
    write_tokens("train.bin", 16 * 8 + 1, 257);
    write("c.toml", small_config());
  }
  void check(const std::vector<std::string>& overrides, int exit, std::initializer_list<std::string_view> named) const {
    std::vector<std::string> arguments = {"train", "c.toml"};
    arguments.insert(arguments.end(), overrides.begin(), overrides.end());
    check_refused(tandem(arguments), exit, named);
    CHECK_FALSE(file_exists(path("run")));
  }
};

TEST_CASE("train refuses a bad configuration") {
  const TrainingPlace place;
  check_refused(place.tandem({"train", "missing.toml"}), 2, {"missing.toml"});
  place.write("c.toml", "[model]\npath = \"model\"\nfrom_scratch = = 1\n");
  place.check({}, 2, {"c.toml:3"});
  place.write("c.toml", small_config({{"optimizer.learning_rat", "1"}}));
  place.check({}, 2, {"c.toml:", "optimizer.learning_rat;", "optimizer.learning_rate"});
  place.write("c.toml", small_config({{"schedule.steps", "\"many\""}}));
  place.check({}, 2, {"c.toml:", "schedule.steps", "many"});
  place.write("c.toml", "[model]\npath = \"model\"\n");
  place.check({}, 2, {"c.toml", "data.train"});
}

TEST_CASE("train refuses bad arguments") {
  const TrainingPlace place;
  place.check({"--batch.micro_bach=2"}, 2, {"--batch.micro_bach", "batch.micro_batch"});
  place.check({"--batch.micro_batch=-2"}, 2, {"--batch.micro_batch"});
  place.check({"--unknown"}, 2, {"--unknown"});
  place.check({"another.toml"}, 2, {"another.toml"});
  place.check({"--memory.offload=n"}, 2, {"memory.offload", "residuals"});
  place.check({"--run.backend=metal"}, 2, {"metal"});
  place.check({"--run.backend=vulkan:x"}, 2, {"vulkan:x"});
  check_refused(place.tandem({}), 2, {});
  check_refused(place.tandem({"trian"}), 2, {"trian"});
  check_refused(place.tandem({"train"}), 2, {"config"});
}

TEST_CASE("verify refuses several ranks") {
  const TrainingPlace place;
  check_refused(
      place.tandem({"verify", "c.toml", "--reference", "vulkan", "--candidate", "vulkan", "--distributed.devices=2"}),
      2, {"distributed.devices", "--distributed.devices=1"});
}

TEST_CASE("train refuses a model that it cannot train") {
  const TrainingPlace place;
  place.check({"--model.path=nowhere"}, 2, {"nowhere"});
  place.write_model("model", {{"hidden_act", "gelu"}});
  place.check({}, 2, {"config.json", "hidden_act", "gelu"});
  place.write_model("model", {{"model_type", "gpt2"}});
  place.check({}, 2, {"config.json", "gpt2"});
  place.write("model/config.json", "{\"model_type\": ");
  place.check({}, 2, {"config.json"});
}

TEST_CASE("train refuses sizes that fp8 cannot have, by key") {
  const TrainingPlace place;
  place.check({"--precision.recipe=fp8", "--data.sequence_length=15"}, 2,
              {"batch.micro_batch", "data.sequence_length"});
  place.write_model("model", {{"head_dim", 8}});
  place.check({"--precision.recipe=fp8"}, 2, {"num_key_value_heads", "8"});
  place.write_model("model", {{"intermediate_size", 40}});
  place.check({"--precision.recipe=fp8"}, 2, {"intermediate_size", "40"});
  place.write_model("model", {{"hidden_size", 24}, {"head_dim", 16}});
  place.check({"--precision.recipe=fp8"}, 2, {"hidden_size", "24"});
}

TEST_CASE("train refuses token files that are not whole") {
  const TrainingPlace place;
  place.check({"--data.train=nothing.bin"}, 3, {"nothing.bin"});
  place.write("short.bin", "BIN.TOK\n");
  place.check({"--data.train=short.bin"}, 3, {"short.bin"});
  const std::string whole = place.read("train.bin");
  place.write("cut.bin", whole.substr(0, whole.size() - 2));
  place.check({"--data.train=cut.bin"}, 3, {"cut.bin"});
  place.write_tokens("large.bin", 65, 300);
  place.check({"--data.train=large.bin"}, 3, {"large.bin", "257"});
  place.check({"--data.eval=large.bin"}, 3, {"large.bin", "257"});
  place.write_tokens("window.bin", 16, 257);
  place.check({"--data.train=window.bin"}, 3, {"window.bin"});
}

TEST_CASE("a batch beyond 32-bit sizes does not fit") {
  const TrainingPlace place;
  place.write_model("model", {{"intermediate_size", 41}});  // 16 tokens, 2 * 48 values the widest: padded
  place.check({"--batch.micro_batch=2796203"}, 4, {"batch.micro_batch", "2796203", "2796202"});
  place.check({"--data.sequence_length=65536", "--batch.micro_batch=65536"}, 4, {"batch.micro_batch", "682"});
  place.check({"--data.sequence_length=100000000"}, 4, {"data.sequence_length", "44739242"});
  place.check({"--batch.gradient_accumulation=2000000000"}, 4, {"batch.gradient_accumulation", "67108863"});
}

TEST_CASE("a budget that is too small names the largest values and the most that fits, on vulkan") {
  const TrainingPlace place;
  place.check({"--memory.device=65MiB", "--batch.micro_batch=64", "--run.backend=vulkan"}, 4,
              {"the largest values", "the largest that fits: batch.micro_batch = "});
  place.check({"--memory.device=64MiB", "--run.backend=vulkan"}, 4,
              {"embedding.weight", "the largest that fits: none"});
  place.check({"--memory.host=1000", "--memory.offload=[\"m\"]", "--run.backend=vulkan"}, 4, {"on the host"});
}

TEST_CASE("train leaves a run directory that is not empty alone") {
  const TrainingPlace place;
  make_directories(place.path("used"));
  place.write("used/notes.txt", "mine");
  place.check({"--run.directory=used"}, 2, {"run.directory", "used"});
  CHECK(place.read("used/notes.txt") == "mine");
  place.check({"--run.directory=c.toml"}, 2, {"run.directory", "c.toml"});
}

TEST_CASE("a backend that is not there exits with 6") {
  const TrainingPlace place;
  place.check({"--run.backend=cuda"}, 6, {"cuda"});
  place.check({"--run.backend=vulkan:9"}, 6, {"vulkan:9"});
  place.copy_golden("llama", "golden");
  check_refused(place.tandem({"eval", "--model", "golden", "--data", "golden/train.bin", "--sequence-length", "16",
                              "--backend", "cuda", "--json"}),
                6, {"cuda"});
}

TEST_CASE("eval and generate refuse bad input") {
  const Workplace place;
  place.copy_golden("llama", "golden");
  place.write_tokens("large.bin", 65, 300);
  const auto eval = [&](const std::string& model, const std::string& data, std::vector<std::string> more = {}) {
    more.insert(more.begin(), {"eval", "--json", "--model", model, "--data", data, "--sequence-length", "16"});
    return place.tandem(more);
  };
  check_refused(eval("nowhere", "large.bin"), 2, {"nowhere"});
  check_refused(eval("golden", "large.bin"), 3, {"large.bin", "96"});
  check_refused(eval("golden", "golden/train.bin", {"--recipe", "fp16"}), 2, {"--recipe", "fp16"});
  check_refused(eval("golden", "golden/train.bin", {"--recipe", "fp8", "--micro-batch", "0"}), 2, {"--micro-batch"});
  check_refused(place.tandem({"eval", "--model", "golden", "--data", "large.bin"}), 2, {"--sequence-length"});

  const auto generate = [&](std::vector<std::string> more) {
    more.insert(more.begin(), {"generate", "--json", "--model", "golden"});
    return place.tandem(more);
  };
  check_refused(generate({}), 2, {"--prompt"});
  check_refused(generate({"--prompt-tokens", "1,x"}), 2, {"--prompt-tokens"});
  check_refused(generate({"--prompt-tokens", "1,96"}), 2, {"96"});
  check_refused(generate({"--prompt-tokens", "1", "--prompt", "a"}), 2, {"--prompt"});
  check_refused(generate({"--prompt-tokens", "1", "--recipe", "fp8"}), 2, {"--recipe"});
  check_refused(generate({"--prompt", "text"}), 2, {"has no tokenizer"});  // 96 tokens are too few for bytes
}

TEST_CASE("data refuses what it cannot read") {
  const Workplace place;
  place.write("a.txt", "text");
  place.write("bad.jsonl", "{\"text\": \"a\"}\n{\"test\": \"b\"}\n");
  check_refused(place.tandem({"data", "info", "--json", "none.bin"}), 3, {"none.bin"});
  check_refused(place.tandem({"data", "info", "--json", "a.txt"}), 3, {"a.txt"});
  const auto tokenize = [&](const std::string& tokenizer, const std::string& input) {
    return place.tandem({"data", "tokenize", "--tokenizer", tokenizer, input, "--out", "o.bin"});
  };
  check_refused(tokenize("nowhere", "a.txt"), 2, {"nowhere"});
  check_refused(tokenize("bytes", "none.txt"), 3, {"none.txt"});
  check_refused(tokenize("bytes", "bad.jsonl"), 3, {"bad.jsonl:2", "text"});
  check_refused(tokenize("bytes", "a.pdf"), 2, {"a.pdf"});
  CHECK_FALSE(file_exists(place.path("o.bin")));
}

TEST_CASE("eval refuses a file in which no target counts, by name") {
  const Workplace place;
  place.copy_golden("llama", "golden");
  place.write("masked.bin", llmq_v2(std::vector<int32_t>(40, 1), 96, std::string(5, '\0')));
  check_refused(place.tandem({"eval", "--json", "--model", "golden", "--data", "masked.bin", "--sequence-length", "16",
                              "--backend", "vulkan:99"}),
                3, {"masked.bin", "no target"});
}

constexpr const char* kNoDevice = "vulkan:99";

TEST_CASE("weights are checked before a device is opened: none at all") {
  const TrainingPlace place;
  place.check({"--model.from_scratch=false", std::string("--run.backend=") + kNoDevice}, 3, {"model", "safetensors"});
}

// the golden model with a part of its header replaced by one as long
void check_bad_weights(const std::string& from, const std::string& to, std::initializer_list<std::string_view> named) {
  const Workplace place;
  place.copy_golden("llama", "golden");
  std::string weights = place.read("golden/model.safetensors");
  const size_t at = weights.find(from);
  REQUIRE(at != std::string::npos);
  REQUIRE(from.size() == to.size());
  place.write("golden/model.safetensors", weights.replace(at, to.size(), to));
  place.write("c.toml", small_config({{"model.path", "\"golden\""},
                                      {"model.from_scratch", "false"},
                                      {"data.train", "[\"golden/train.bin\"]"},
                                      {"run.backend", fmt::format("\"{}\"", kNoDevice)}}));
  const auto check = [&](std::vector<std::string> arguments) { check_refused(place.tandem(arguments), 3, named); };
  check({"eval", "--json", "--model", "golden", "--data", "golden/train.bin", "--sequence-length", "16", "--backend",
         kNoDevice});
  check({"generate", "--json", "--model", "golden", "--prompt-tokens", "1", "--backend", kNoDevice});
  check({"train", "c.toml"});
  CHECK_FALSE(file_exists(place.path("run")));
}

TEST_CASE("weights are checked before a device is opened: a missing tensor, by name") {
  check_bad_weights("model.layers.1.mlp.up_proj.weight", "model.layers.1.mlp.Up_proj.weight",
                    {"golden", "up_proj.weight", "missing"});
}

TEST_CASE("weights are checked before a device is opened: a dtype that is not read") {
  check_bad_weights("\"F32\"", "\"I32\"", {"golden", "I32"});
}

// descriptors that cannot be written to
struct BrokenStreams {
  BrokenStreams() {
    int ends[2];
    REQUIRE(pipe2(ends, O_CLOEXEC) == 0);
    close(ends[0]);
    pipe = ends[1];
    full = open("/dev/full", O_WRONLY | O_CLOEXEC);
    REQUIRE(full >= 0);
  }
  ~BrokenStreams() {
    close(pipe);
    close(full);
  }
  int pipe, full;
};

TEST_CASE("a result that cannot be written exits with 7") {
  const Workplace place;
  const BrokenStreams broken;
  place.write("a.bin", llmq_v2({1, 2, 3}));
  for (const int out : {broken.pipe, broken.full})
    for (const auto& arguments :
         {std::vector<std::string>{"--help"}, {"devices"}, {"devices", "--json"}, {"data", "info", "a.bin"}}) {
      CAPTURE(fmt::format("{}", fmt::join(arguments, " ")));
      check_refused(place.tandem(arguments, {.out = out}), 7, {"standard output"});
      CHECK(place.tandem(arguments, {.out = out, .err = out}).exit == 7);
    }
}

}  // namespace
}  // namespace tandem::test
