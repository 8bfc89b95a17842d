// Runs that keep documents apart: what ends one, packing "whole", mixtures, and `eval` with the same options.
#include <doctest/doctest.h>
#include <signal.h>

#include "tests/cli/run_place.h"

namespace tandem::test {
namespace {

using Flags = std::vector<std::string>;

// A file of 60 documents of 2 to 26 tokens, of which every third token is no target; token 5 ends turns.
std::string documents(bool say_where) {
  std::vector<int32_t> tokens;
  std::vector<uint32_t> starts;
  for (uint32_t d = 0; d < 60; ++d) {
    starts.push_back(uint32_t(tokens.size()));
    for (uint32_t i = 0; i < 2 + d * 7 % 25; ++i) tokens.push_back(i % 4 == 3 ? 5 : int32_t((d * 31 + i * i) % 257));
  }
  std::string mask((tokens.size() + 7) / 8, '\0');
  for (size_t i = 0; i < tokens.size(); ++i)
    if (i % 3 != 0) mask[i / 8] = char(mask[i / 8] | 1 << (i % 8));
  const std::string file = llmq_v2(tokens, 257, mask);
  return say_where ? with_documents(file, starts) : file;
}

struct DocumentPlace : RunPlace {
  explicit DocumentPlace(const std::string& more = "") {
    write_tokens("b.bin", 16 * 5 + 1, 257);
    write("d.bin", documents(true));
    write("turns.bin", documents(false));
    const std::vector<std::pair<std::string, std::string>> values = {
        {"data.train", "[\"d.bin\"]"}, {"data.eval", "[\"d.bin\"]"},  {"schedule.steps", "12"},
        {"checkpoint.every", "4"},     {"run.backend", "\"vulkan\""}, {"run.eval_every", "5"}};
    write("c.toml", small_config(values) + more);
  }
};

Json last_evaluation(const Workplace& place) {
  const std::string text = place.read("run/metrics.jsonl");
  const size_t at = text.rfind("{\"eval\":");
  return parse_json(text.substr(at, text.find('\n', at) - at), "metrics.jsonl").at("eval");
}

TEST_CASE("documents: auto never cuts turns") {
  const DocumentPlace place("data.separate_documents = true\n");
  place.write_model("model", {{"eos_token_id", 5}, {"vocab_size", 257}});
  place.write("model/tokenizer.json", "{}");  // one that names no end token
  check_refused(place.train({"--data.train=turns.bin"}), 2,
                {"data.document_end", "turns.bin", "token 5 at 9 ends a turn, not a document"});
  check_refused(place.train({"--data.train=turns.bin", "--data.separate_documents=false", "--data.packing=whole"}), 2,
                {"data.document_end", "ends a turn"});
  check_refused(place.train({"--data.train=b.bin", "--data.document_end=1", "--data.packing=whole"}), 2,
                {"b.bin", "nor holds token 1,"});
  CHECK_FALSE(file_exists(place.path("run")));
}

// The run's own figure, by the command, stream and whole.
TEST_CASE("documents: eval with a run's options gives the run's last evaluation, on vulkan") {
  for (const Flags& options : {Flags{"separate", ""}, Flags{"whole", ""}, Flags{"separate", "5"}, Flags{"", ""}}) {
    const DocumentPlace place;
    Flags run, eval = {"eval", "--json",        "--model", "run/model", "--data", "d.bin", "--sequence-length",
                       "16",   "--micro-batch", "3",       "--backend", "vulkan"};
    if (options[0] == "separate")
      run.push_back("--data.separate_documents=true"), eval.push_back("--separate-documents");
    if (options[0] == "whole") run.push_back("--data.packing=whole"), eval.insert(eval.end(), {"--packing", "whole"});
    if (!options[1].empty()) {
      run.push_back("--data.document_end=" + options[1]);
      eval.insert(eval.end(), {"--document-end", options[1]});
    }
    CAPTURE(options[0]);
    const Outcome trained = place.train(run), evaluated = place.tandem(eval);
    INFO(trained.err, evaluated.err);
    REQUIRE(trained.exit == 0);
    REQUIRE(evaluated.exit == 0);
    CHECK(evaluated.json().at("tokens") == last_evaluation(place).at("tokens"));
    CHECK(evaluated.json().at("loss").get<double>() ==
          doctest::Approx(last_evaluation(place).at("loss").get<double>()).epsilon(1e-5));
  }
}

TEST_CASE(
    "documents: a run of whole documents says what its windows hold, and ends to the bit when resumed, on vulkan") {
  const DocumentPlace place("data.packing = \"whole\"\n");
  const Outcome whole = place.train({"--run.directory=whole"});
  INFO(whole.err);
  REQUIRE(whole.exit == 0);
  // expected: a Python program that looks for room in each window in turn
  CHECK(whole.says(
      "data: 50 windows, 96.9% filled, 64.1% of the places are targets, 0 windows have none, 21 documents cut, "
      "0.48 epochs"));
  CHECK(place.train({}, fmt::format("write:12:s{}:.tmp-step_00000008", SIGKILL)).exit == 128 + SIGKILL);
  const Outcome resumed = place.train({"--resume"});
  INFO(resumed.err);
  CHECK(resumed.exit == 0);
  CHECK(place.result("run") == place.result("whole"));
  check_refused(place.train({"--resume", "--data.packing=stream"}), 2, {"data.packing"});
  check_refused(place.train({"--resume", "--data.format=u16"}), 2, {"data.format"});
  const Outcome split =
      place.train({"--run.directory=split", "--batch.micro_batch=1", "--batch.gradient_accumulation=2"});
  CHECK(split.exit == 0);
  const auto targets = [&](const std::string& run) {
    std::string all, text = place.read(run + "/metrics.jsonl");
    for (size_t at = 0; (at = text.find("\"tokens\":", at)) != std::string::npos; ++at)
      all += text.substr(at, text.find(",\"seconds", at) - at) + "\n";
    return all;
  };
  CHECK(targets("split") == targets("whole"));  // tokens and targets of each step: the same windows
}

TEST_CASE("mixture: a run takes its weights' shares, and ends to the bit when resumed, on vulkan") {
  const DocumentPlace place("data.weights = [3, 1]\n");
  place.write_tokens("shard-1.bin", 16 * 2 + 1, 257);
  place.write_tokens("shard-0.bin", 16 * 4 + 1, 257);
  const std::string train = "--data.train=[\"b.bin\", \"shard-*.bin\"]";
  const Outcome whole = place.train({train, "--run.directory=whole"});
  INFO(whole.err);
  REQUIRE(whole.exit == 0);
  CHECK(whole.says("data b.bin (75.00%): 5 windows, 100.0% filled, 100.0% of the places are targets"));
  CHECK(whole.says("3.6 epochs"));
  CHECK(whole.says("data shard-*.bin (25.00%): 6 windows"));
  CHECK(place.train({train}, fmt::format("write:12:s{}:.tmp-step_00000008", SIGKILL)).exit == 128 + SIGKILL);
  check_refused(place.train({train, "--resume", "--data.weights=[3, 2]"}), 2, {"data.weights"});
  CHECK(place.train({train, "--resume"}).exit == 0);
  CHECK(place.result("run") == place.result("whole"));
  place.write_tokens("shard-2.bin", 16 * 4 + 1, 257);
  check_refused(place.train({train, "--resume"}), 3, {"data.train", "5 files, 4 when the run began"});
  check_refused(place.train({"--data.train=[\"b.bin\", \"none-*.bin\"]", "--run.directory=other"}), 2,
                {"data.train", "none-*.bin matches no file"});
}

TEST_CASE("data info counts documents and windows") {
  const DocumentPlace place;
  const Outcome o = place.tandem({"data", "info", "--json", "--sequence-length", "16", "d.bin"});
  REQUIRE(o.exit == 0);
  const Json j = o.json();
  CHECK(keys_of(j) ==
        Flags{"format", "tokens", "vocabulary_size", "targets", "documents", "longest_document", "stream", "whole"});
  CHECK(j.at("documents") == 60);
  CHECK(j.at("longest_document") == 26);
  for (const char* packing : {"stream", "whole"})
    CHECK(keys_of(j.at(packing)) == Flags{"windows", "windows_without_targets", "fill", "documents_cut"});
  CHECK(j.at("whole").at("windows") == 50);
  CHECK(j.at("whole").at("documents_cut") == 21);
  CHECK(j.at("stream").at("fill") == 1.0);
  const Json unknown = place.tandem({"data", "info", "--json", "--sequence-length", "16", "turns.bin"}).json();
  for (const char* key : {"documents", "longest_document", "whole"}) CHECK(unknown.at(key).is_null());
  CHECK(unknown.at("stream").at("documents_cut").is_null());
  CHECK(place.tandem({"data", "info", "d.bin"}).out.find("documents: 60, the longest: 26 tokens") != std::string::npos);
}

}  // namespace
}  // namespace tandem::test
