// Arguments that are refused before any work is done, and what follows of those that are taken.
#include <doctest/doctest.h>
#include <fcntl.h>
#include <unistd.h>

#include <cstdlib>
#include <regex>

#include "tests/cli/command.h"

namespace tandem::test {
namespace {

using Arguments = std::vector<std::string>;

// a workplace with the golden llama, and a run of its own
struct ModelPlace : Workplace {
  ModelPlace() {
    copy_golden("llama", "golden");
    write_model("model");
    write_tokens("train.bin", 16 * 8 + 1, 257);
    write("c.toml", small_config());
  }
  Outcome eval(Arguments more) const {
    more.insert(more.begin(), {"eval", "--json", "--model", "golden", "--data", "golden/train.bin"});
    return tandem(more);
  }
  Outcome generate(Arguments more) const {
    more.insert(more.begin(), {"generate", "--json", "--model", "golden", "--prompt-tokens", "1,2"});
    return tandem(more);
  }
  Outcome train(Arguments more) const {
    more.insert(more.begin(), {"train", "c.toml"});
    return tandem(more);
  }
};

TEST_CASE("--version says version, commit, compiler, build options and backends, a line each") {
  const Workplace place;
  const Outcome o = place.tandem({"--version"});
  CHECK(o.exit == 0);
  const std::string build = read_text(std::string(std::getenv("TANDEM_SOURCE_ROOT")) + "/meson.build");
  std::smatch version;
  REQUIRE(std::regex_search(build, version, std::regex("version: '([^']+)'")));
  std::string backends, cuda = "cuda=false", vulkan = "vulkan=false";
#ifdef TANDEM_VULKAN
  vulkan = "vulkan=true", backends += "vulkan";
#endif
#ifdef TANDEM_CUDA
  cuda = "cuda=true gpu_architectures=[0-9,]+", backends += backends.empty() ? "cuda" : ", cuda";
#endif
  const std::string expected = fmt::format(
      "tandem {}\ncommit ([0-9a-f]{{7,40}}(-dirty)?|unknown)\ncompiler [a-z]+ [0-9.]+\noptions buildtype=\\S+ "
      "optimization=\\S+ debug=(true|false) b_sanitize=\\S+ {} {}\nbackends {}\n",
      std::regex_replace(version[1].str(), std::regex("\\."), "\\."), vulkan, cuda, backends);
  CHECK_MESSAGE(std::regex_match(o.out, std::regex(expected)), o.out);
}

TEST_CASE("numbers are decimal, whole and in their range") {
  const ModelPlace place;
  for (const char* length : {"0x10", "-1", "1.5", "18446744073709551632", "16 "})
    check_refused(place.eval({"--sequence-length", length}), 2, {"--sequence-length", "1 to 1048576"});
  for (const char* seed : {"-1", "18446744073709551616", "1e3"})
    check_refused(place.generate({"--seed", seed}), 2, {"--seed", seed});
  for (const char* temperature : {"nan", "inf", "-0.1", "100.5", "warm", "0x1"})
    check_refused(place.generate({"--temperature", temperature}), 2, {"--temperature", "0 to 100"});
  check_refused(place.generate({"--max-tokens", "-1"}), 2, {"--max-tokens"});
  check_refused(place.tandem({"verify", "c.toml", "--reference", "vulkan", "--candidate", "vulkan", "--steps", "-1"}),
                2, {"--steps"});
}

TEST_CASE("a number with a leading zero is decimal too, on vulkan") {
  const ModelPlace place;
  CHECK(place.generate({"--max-tokens", "010"}).json().at("tokens").size() == 10);
}

TEST_CASE("an empty argument is refused by the name of its flag") {
  const ModelPlace place;
  check_refused(place.eval({"--sequence-length", "16", "--recipe", ""}), 2, {"--recipe", "empty"});
  check_refused(place.eval({"--sequence-length", "16", "--backend", ""}), 2, {"--backend", "empty"});
  check_refused(place.generate({"--seed", ""}), 2, {"--seed"});
  check_refused(place.generate({"--seed="}), 2, {"--seed", "empty"});
  check_refused(place.tandem({"data", "tokenize", "--tokenizer", "bytes", "--end=", "a.txt", "--out", "o.bin"}), 2,
                {"[--end]", "empty"});
  check_refused(place.tandem({"plan", "c.toml", "--memory", ""}), 2, {"--memory", "empty"});
  check_refused(place.tandem({"data", "info", ""}), 2, {"file", "empty"});
  check_refused(place.eval({"--sequence-length", "16", "--backend", ":0"}), 2, {"':0'"});
}

TEST_CASE("a run that cannot be resumed for there is a file in its place") {
  const ModelPlace place;
  check_refused(place.train({"--run.directory=train.bin", "--resume"}), 3, {"train.bin", "is not a directory"});
}

TEST_CASE("a profile that cannot be written is found before the run starts") {
  const ModelPlace place;
  make_directories(place.path("there"));
  check_refused(place.train({"--profile", "there"}), 7, {"there"});
  check_refused(place.train({"--profile", "nowhere/p.json"}), 7, {"nowhere"});
  CHECK_FALSE(file_exists(place.path("run")));
}

TEST_CASE("a profile may stand in the run directory, however that is spelt, on vulkan") {
  const ModelPlace place;
  CHECK(place.train({"--profile", "./run/p.json", "--run.directory=run/"}).exit == 0);
  CHECK(file_exists(place.path("run/p.json")));
}

TEST_CASE("files that the result will need are checked before the run starts") {
  const ModelPlace place;
  make_directories(place.path("model/generation_config.json"));
  check_refused(place.train({}), 3, {"generation_config.json", "regular file"});
  CHECK_FALSE(file_exists(place.path("run")));
}

TEST_CASE("a document end outside the vocabulary is refused") {
  const ModelPlace place;
  check_refused(place.train({"--data.separate_documents=true", "--data.document_end=257"}), 2,
                {"data.document_end", "257"});
}

TEST_CASE("a document ends where the tokenizer says, not the first of the model's end tokens") {
  const ModelPlace place;
  place.write_model("model", {{"eos_token_id", {3, 256}}});
  place.write("model/tokenizer.json", R"({"added_tokens": [{"id": 300, "content": "<end>"}]})");
  place.write("model/tokenizer_config.json", R"({"eos_token": "<end>"})");
  check_refused(place.train({"--data.separate_documents=true"}), 2, {"data.document_end", "300"});
}

TEST_CASE("windows beyond max_position_embeddings are named in one warning, on vulkan") {
  const ModelPlace place;  // the golden model has 256 positions
  const Outcome o = place.eval({"--sequence-length", "300"});
  REQUIRE(o.exit == 0);
  CHECK(o.says("--sequence-length 300 is above the model's max_position_embeddings"));
  CHECK(o.err.find("warning") == o.err.rfind("warning"));
  CHECK_FALSE(place.eval({"--sequence-length", "16"}).says("warning"));
}

TEST_CASE("what runs where is said, as auto chose it, on vulkan") {
  const ModelPlace place;
  CHECK(place.eval({"--sequence-length", "16"}).says("tandem: fp32 on vulkan:0 ("));
  CHECK(place.generate({"--max-tokens", "1", "--recipe", "bf16"}).says("tandem: bf16 on vulkan:0 ("));
}

TEST_CASE("an op that the program does not have cannot be disturbed, on vulkan") {
  const ModelPlace place;  // a llama has no norms of heads
  const Arguments verify = {"verify", "c.toml", "--json", "--reference", "vulkan", "--candidate", "vulkan"};
  Arguments perturbed = verify;
  perturbed.insert(perturbed.end(), {"--perturb", "head_rms_norm"});
  check_refused(place.tandem(perturbed), 2, {"--perturb", "head_rms_norm"});
  const int full = open("/dev/full", O_WRONLY | O_CLOEXEC);
  REQUIRE(full >= 0);
  check_refused(place.tandem(verify, {.out = full}), 7, {"standard output"});
  close(full);
}

TEST_CASE("a table that cannot be written is found before anything is measured") {
  const Workplace place;
  const Outcome o = place.tandem({"devices", "--calibrate", "--out", "nowhere/x.toml"});
  check_refused(o, 7, {"nowhere"});
  CHECK_FALSE(o.says("measuring"));
}

}  // namespace
}  // namespace tandem::test
