// What `tandem` does: help, devices, token files, and a model from text to generation.
#include <doctest/doctest.h>
#include <fcntl.h>
#include <unistd.h>

#include <cmath>
#include <map>
#include <sstream>

#include "core/data/bytes_tokenizer.h"
#include "core/data/token_file.h"
#include "core/model/safetensors.h"
#include "tests/cli/command.h"

namespace tandem::test {
namespace {

using Keys = std::vector<std::string>;

void check_done(const Outcome& o) {
  INFO("standard error: ", o.err);
  REQUIRE(o.exit == 0);
}

std::vector<Json> lines_of(const std::string& text) {
  REQUIRE(text.ends_with('\n'));
  std::vector<Json> lines;
  std::istringstream stream(text);
  for (std::string line; std::getline(stream, line);) lines.push_back(parse_json(line, "metrics.jsonl"));
  return lines;
}

TEST_CASE("every command has help") {
  const Workplace place;
  for (const Keys& command : {Keys{}, Keys{"train"}, Keys{"eval"}, Keys{"generate"}, Keys{"data"},
                              Keys{"data", "tokenize"}, Keys{"data", "info"}, Keys{"devices"}}) {
    Keys arguments = command;
    arguments.push_back("--help");
    const Outcome o = place.tandem(arguments);
    CAPTURE(fmt::format("{}", fmt::join(arguments, " ")));
    CHECK(o.exit == 0);
    CHECK(o.out.find("--help") != std::string::npos);
    CHECK(o.err == "");
  }
}

void check_devices(bool vulkan) {
  const Workplace place;
  const Outcome o = place.tandem({"devices", "--json"});
  check_done(o);
  const Json j = o.json();
  CHECK(keys_of(j) == Keys{"devices", "missing"});
  bool found = false;
  for (const Json& d : j.at("devices")) {
    CHECK(keys_of(d) == Keys{"backend", "index", "name", "memory_bytes", "recipes"});
    CHECK(d.at("index").is_number_unsigned());
    CHECK(d.at("memory_bytes").is_number_unsigned());
    CHECK(d.at("memory_bytes") > 0);
    found |= d.at("backend") == "vulkan";
    if (d.at("backend") == "vulkan") CHECK(d.at("recipes") == Json{"fp32", "bf16", "fp8"});
  }
  for (const Json& m : j.at("missing")) {
    CHECK(keys_of(m) == Keys{"backend", "reason"});
    CHECK(m.at("reason") != "");
    found |= m.at("backend") == "vulkan" && !vulkan;
  }
  CHECK(found);
  check_done(place.tandem({"devices"}));
}
TEST_CASE("devices --json lists each backend") {
  check_devices(false);
}
TEST_CASE("devices --json lists what works on vulkan") {
  check_devices(true);
}

TEST_CASE("text becomes a token file") {
  const Workplace place;
  place.write("a.txt", "Hi\n\xff");
  place.write("b.jsonl", "{\"text\": \"\\u00e9\"}\n\n{\"text\": \"\", \"more\": 1}\n");
  const Outcome made = place.tandem({"data", "tokenize", "--tokenizer", "bytes", "a.txt", "b.jsonl", "--out", "o.bin"});
  check_done(made);
  CHECK(made.out == "");
  const std::vector<int32_t> tokens = {'H', 'i', '\n', 0xff, 256, 0xc3, 0xa9, 256, 256};
  CHECK(place.read("o.bin").substr(kTokenFileHeader) == bytes_of(tokens) + bytes_of<uint32_t>({0, 5, 8, 9}));

  const Outcome info = place.tandem({"data", "info", "--json", "o.bin"});
  check_done(info);
  CHECK(info.json() == Json{{"format", "llmq-v2"},
                            {"tokens", 9},
                            {"vocabulary_size", 257},
                            {"targets", 8},
                            {"documents", 3},
                            {"longest_document", 5}});
  CHECK(keys_of(info.json()) ==
        Keys{"format", "tokens", "vocabulary_size", "targets", "documents", "longest_document"});
  place.write("masked.bin", llmq_v2({1, 2, 3, 4}, 300, std::string(1, char(0b1011))));
  CHECK(place.tandem({"data", "info", "--json", "masked.bin"}).json().at("targets") == 2);
}

TEST_CASE("data info of a header that does not tell the vocabulary") {
  const Workplace place;
  place.write("v1.bin", token_header({kMagic0, kMagic1, 1, 4, 2}) + bytes_of(std::vector<int32_t>{1, 2}));
  place.write("v2.bin", llmq_v2({1, 2}, 0));
  place.write("llmc.bin", token_header({20240520, 1, 2}) + bytes_of(std::vector<uint16_t>{1, 2}));
  for (const char* name : {"v1.bin", "v2.bin", "llmc.bin"}) {
    CHECK(place.tandem({"data", "info", "--json", name}).json().at("vocabulary_size").is_null());
    CHECK(place.tandem({"data", "info", name}).out.find("vocabulary unknown") != std::string::npos);
  }
}

void check_metrics(const Json& m, uint64_t step, bool fp8) {
  Keys keys{"step", "loss",   "grad_norm", "learning_rate", "tokens",      "targets", "seconds", "tokens_per_second",
            "mfu",  "memory", "skipped",   "time",          "data_seconds"};
  if (step == 3) keys.push_back("copy_seconds");
  if (fp8) keys.insert(keys.end(), {"scale_misses", "scale_guesses"});
  CHECK(keys_of(m) == keys);
  CHECK(m.at("time") > 1.7e9);  // a time after 2023
  CHECK(m.at("data_seconds") >= 0);
  CHECK(m.at("data_seconds") < m.at("seconds"));
  CHECK(m.at("step") == step);
  CHECK(m.at("tokens") == step * 32);
  CHECK(m.at("targets") == 32);
  for (const char* key : {"loss", "grad_norm", "learning_rate", "seconds", "tokens_per_second"}) {
    CAPTURE(key);
    CHECK(m.at(key).is_number_float());
    CHECK(m.at(key) > 0);
  }
  CHECK(m.at("mfu") > 0);  // rates are known of software Vulkan
  CHECK(m.at("mfu") < 1);
  CHECK(m.at("memory").is_number_unsigned());
  CHECK(m.at("memory") > 0);
  CHECK(m.at("skipped") == false);
}

// what is written of a model of this recipe, and what the other commands make of it
void check_model(const Workplace& place, const std::string& recipe, const Json& last_evaluation) {
  for (const char* name : {"config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"})
    CHECK(file_exists(place.path(std::string("run/model/") + name)));
  const TensorFile weights(place.path("run/model/model.safetensors"));
  CHECK(weights.info("model.norm.weight").type == (recipe == "fp32" ? StoredType::f32 : StoredType::bf16));
  CHECK(is_bytes_tokenizer(parse_json(place.read("run/model/tokenizer.json"), "tokenizer.json")));

  const Outcome eval = place.tandem({"eval", "--json", "--model", "run/model", "--data", "eval.bin",
                                     "--sequence-length", "16", "--micro-batch", "3", "--recipe", recipe});
  check_done(eval);
  const Json e = eval.json();
  CHECK(keys_of(e) == Keys{"loss", "tokens", "sequences"});
  CHECK(e.at("loss").get<double>() ==
        doctest::Approx(last_evaluation.at("loss").get<double>()).epsilon(recipe == "fp8" ? 1e-3 : 1e-6));
  CHECK(e.at("tokens") == last_evaluation.at("tokens"));
  CHECK(e.at("sequences") == 5);

  const auto generate = [&](const Keys& more) {
    Keys arguments = {"generate", "--json", "--model", "run/model", "--max-tokens", "5"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    const Outcome o = place.tandem(arguments);
    check_done(o);
    return o.json();
  };
  const Json text = generate({"--prompt", "AB"});
  CHECK(keys_of(text) == Keys{"tokens", "text"});
  CHECK(text.at("tokens").size() <= 5);
  CHECK(text.at("text").is_string());
  CHECK(text == generate({"--prompt-tokens", "65,66"}));
}

void check_training(const std::string& recipe) {
  const Workplace place;
  place.write_model("model");
  place.write_tokens("train.bin", 16 * 8 + 1, 257);
  place.write_tokens("eval.bin", 16 * 5 + 1, 257);
  place.write("c.toml",
              small_config({{"data.eval", "[\"eval.bin\"]"}, {"run.eval_every", "2"}, {"schedule.steps", "9"}}));
  const Outcome o = place.tandem({"train", "c.toml", "--schedule.steps=3", "--precision.recipe=" + recipe});
  check_done(o);
  CHECK(o.out == "");

  const std::vector<Json> lines = lines_of(place.read("run/metrics.jsonl"));
  REQUIRE(lines.size() == 5);  // steps 1, 2, evaluation, step 3, evaluation
  check_metrics(lines[0], 1, recipe == "fp8");
  check_metrics(lines[1], 2, recipe == "fp8");
  check_metrics(lines[3], 3, recipe == "fp8");
  CHECK(lines[0].at("loss").get<double>() == doctest::Approx(std::log(257)).epsilon(0.02));
  CHECK(lines[0].at("learning_rate") == 1e-2);
  for (const size_t i : {size_t{2}, size_t{4}}) {
    CHECK(keys_of(lines[i]) == Keys{"eval"});
    CHECK(keys_of(lines[i].at("eval")) == Keys{"step", "loss", "tokens", "seconds", "time"});
    CHECK(lines[i].at("eval").at("time") >= lines[i - 1].at("time"));
    CHECK(lines[i].at("eval").at("seconds") > 0);
    CHECK(lines[i].at("eval").at("step") == i / 2 + 1);
    CHECK(lines[i].at("eval").at("tokens") == 80);
  }
  CHECK(lines[4].at("eval").at("loss") != lines[2].at("eval").at("loss"));
  CHECK(place.read("run/config.toml").find("steps = 3\n") != std::string::npos);
  parse_json(place.read("run/plan.json"), "plan.json");
  check_model(place, recipe, lines[4].at("eval"));

  // the merged configuration is one that trains, to the same model
  check_done(place.tandem({"train", "run/config.toml", "--run.directory=again"}));
  CHECK(place.read("again/model/model.safetensors") == place.read("run/model/model.safetensors"));
  CHECK(place.tandem({"train", "run/config.toml"}).exit == 2);
}
TEST_CASE("train, eval and generate in fp32 on vulkan") {
  check_training("fp32");
}
TEST_CASE("train, eval and generate in bf16 on vulkan") {
  check_training("bf16");
}
TEST_CASE("train, eval and generate in fp8 on vulkan") {
  check_training("fp8");
}

// small_config(), three steps, the last one profiled
void check_trace(const Workplace& place) {
  const Json trace = parse_json(place.read("trace.json"), "trace.json");
  std::map<std::string, int> ranges, ops;
  double clock = 0;
  size_t queues = 0;
  for (const Json& event : trace.at("traceEvents")) {
    CAPTURE(event.dump());
    if (event.at("ph") == "M") {  // a queue's name
      ++queues;
      CHECK(event.at("name") == "thread_name");
      continue;
    }
    CHECK(keys_of(event) == Keys{"name", "cat", "ph", "ts", "dur", "pid", "tid", "args"});
    CHECK(event.at("ph") == "X");
    CHECK(event.at("ts").get<double>() >= clock - 1e-3);
    CHECK(event.at("dur").get<double>() >= 0);
    clock = event.at("ts").get<double>() + event.at("dur").get<double>();
    const Json& arguments = event.at("args");
    ++ranges[arguments.at("range").get<std::string>()];
    ++ops[event.at("cat").get<std::string>()];
    if (event.at("cat") != "gemm") continue;
    CHECK(arguments.at("flops") > 0);
    CHECK(arguments.at("floor_us") > 0);
    CHECK(arguments.at("operands").size() >= 3);
  }
  CHECK(clock > 0);
  CHECK(queues == 4);
  CHECK(ranges["begin"] > 0);
  CHECK(ranges["micro_step"] > ranges["update"]);
  CHECK(ranges["update"] > ops["adamw"]);
  CHECK(ops["adamw"] > 0);
  CHECK(ops["attention_backward_query"] == ops["attention"]);
}
TEST_CASE("train --profile times one step and changes no bit on vulkan") {
  const Workplace place;
  place.write_model("model");
  place.write_tokens("train.bin", 16 * 8 + 1, 257);
  place.write("c.toml", small_config({{"batch.gradient_accumulation", "2"}}));
  check_done(place.tandem({"train", "c.toml"}));
  check_done(place.tandem({"train", "c.toml", "--run.directory=profiled", "--profile", "trace.json"}));
  CHECK(place.read("profiled/model/model.safetensors") == place.read("run/model/model.safetensors"));
  check_trace(place);
  check_done(place.tandem(
      {"train", "c.toml", "--schedule.steps=1", "--run.directory=short", "--profile", "short/trace.json"}));
  CHECK(file_exists(place.path("short/trace.json")));

  const Outcome nowhere = place.tandem({"train", "c.toml", "--run.directory=none", "--profile", "missing/trace.json"});
  CHECK(nowhere.exit == 7);
  CHECK(nowhere.says("missing/trace.json"));
  CHECK_FALSE(file_exists(place.path("none")));
}

TEST_CASE("training that diverges ends with 5 on vulkan") {
  const Workplace place;
  place.write_model("model");
  place.write_tokens("train.bin", 16 * 8 + 1, 257);
  place.write("c.toml", small_config({{"optimizer.learning_rate", "1e30"},
                                      {"optimizer.grad_clip", "0"},
                                      {"schedule.steps", "20"},
                                      {"run.max_skipped", "2"}}));
  const Outcome o = place.tandem({"train", "c.toml"});
  INFO("standard error: ", o.err);
  CHECK(o.exit == 5);
  CHECK(o.says("optimizer.learning_rate"));
  const std::vector<Json> lines = lines_of(place.read("run/metrics.jsonl"));
  REQUIRE(lines.size() >= 2);
  CHECK(lines.back().at("skipped") == true);
  CHECK((lines.back().at("loss").is_null() || lines.back().at("grad_norm").is_null()));
  CHECK_FALSE(file_exists(place.path("run/model")));
}

TEST_CASE("generation ends at the model's last position, with a warning, on vulkan") {
  const Workplace place;
  place.copy_golden("qwen2", "golden");  // 64 positions
  const auto generate = [&](const std::string& prompt, const std::string& most) {
    const Outcome o =
        place.tandem({"generate", "--json", "--model", "golden", "--prompt-tokens", prompt, "--max-tokens", most});
    check_done(o);
    return o;
  };
  const Outcome shortened = generate("1,2,19", "1000000");
  CHECK(shortened.json().at("tokens").size() == 62);  // the last one comes from position 63, the model's last
  CHECK(shortened.says("max_position_embeddings 64"));
  CHECK(shortened.says("at most 62"));
  const Outcome whole = generate("1,2,19", "62");
  CHECK(whole.json() == shortened.json());
  CHECK_FALSE(whole.says("max_position_embeddings"));
  std::string past = "1";
  for (int i = 0; i < 70; ++i) past += ",2";
  const Outcome beyond = generate(past, "9");
  CHECK(beyond.json().at("tokens").size() == 2);
  CHECK(beyond.says("max_position_embeddings 64"));
}

TEST_CASE("generate takes a prompt by the model's tokenizer, with its bos, on vulkan") {
  const Workplace place;
  place.copy_golden("llama", "golden");
  place.write("golden/tokenizer.json", read_text(std::string(std::getenv("TANDEM_SOURCE_ROOT")) +
                                                 "/tests/fuzz/corpus/tokenizer_json.sentencepiece.json"));
  const auto generate = [&](const Keys& more) {
    Keys arguments = {"generate", "--model", "golden", "--max-tokens", "5"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    const Outcome o = place.tandem(arguments);
    check_done(o);
    return o;
  };
  const Json with_bos = generate({"--json", "--prompt", "aab a"}).json();
  CHECK(with_bos == generate({"--json", "--prompt-tokens", "7,6,8,6"}).json());
  const Json without = generate({"--json", "--prompt", "aab a", "--no-bos"}).json();
  CHECK(without == generate({"--json", "--prompt-tokens", "6,8,6"}).json());
  CHECK(with_bos != without);
  CHECK(generate({"--prompt", "aab a"}).out == "aab a" + with_bos.at("text").get<std::string>() + "\n");
  check_refused(place.tandem({"generate", "--model", "golden", "--prompt", "\xff"}), 2, {"--prompt", "UTF-8"});
}

TEST_CASE("a run that nobody watches goes on, on vulkan") {
  const Workplace place;
  place.write_model("model");
  place.write_tokens("train.bin", 16 * 8 + 1, 257);
  place.write("c.toml", small_config());
  int ends[2];
  REQUIRE(pipe2(ends, O_CLOEXEC) == 0);
  close(ends[0]);
  CHECK(place.tandem({"train", "c.toml"}, {.err = ends[1]}).exit == 0);
  close(ends[1]);
  CHECK(file_exists(place.path("run/model/model.safetensors")));
}

TEST_CASE("a model with no text for its tokens on vulkan") {
  const Workplace place;
  place.copy_golden("llama", "golden");
  const Outcome o = place.tandem(
      {"generate", "--json", "--model", "golden", "--prompt-tokens", "1,2,19,42,11,82,3,26", "--max-tokens", "3"});
  check_done(o);
  CHECK(o.json() == Json{{"tokens", {85, 88, 49}}, {"text", nullptr}});  // golden.json's
}

}  // namespace
}  // namespace tandem::test
