#include "tests/cli/run_place.h"

#include <cstdlib>
#include <filesystem>
#include <map>
#include <sstream>

namespace tandem::test {

RunPlace::RunPlace(const std::string& recipe) {
  write_model("model");
  write_tokens("a.bin", 16 * 10 + 1, 257);
  write_tokens("b.bin", 16 * 5 + 1, 257);
  write("c.toml", small_config({{"data.train", "[\"a.bin\", \"b.bin\"]"},
                                {"data.eval", "[\"b.bin\"]"},
                                {"precision.recipe", '"' + recipe + '"'},
                                {"schedule.steps", "12"},
                                {"checkpoint.every", "4"},
                                {"checkpoint.keep", "2"},
                                {"run.eval_every", "5"},
                                {"run.backend", "\"vulkan\""}}));
}

Outcome RunPlace::train(std::vector<std::string> more, const std::string& fault) const {
  more.insert(more.begin(), {"train", "c.toml"});
  if (!fault.empty()) setenv("LD_PRELOAD", std::getenv("TANDEM_FAULT_LIBRARY"), 1);
  setenv("TANDEM_FAULT", fault.c_str(), 1);
  const Outcome outcome = tandem(more);
  unsetenv("LD_PRELOAD");
  return outcome;
}

std::string RunPlace::result(const std::string& run) const {
  std::map<std::string, std::string> files;
  for (const auto& entry : std::filesystem::directory_iterator(path(run + "/model")))
    files[entry.path().filename().string()] = read_text(entry.path().string());
  std::string all;
  for (const auto& [name, content] : files) all += name + content;
  std::istringstream lines(read(run + "/metrics.jsonl"));
  for (std::string line; std::getline(lines, line);) {
    Json json = parse_json(line, "metrics.jsonl");
    for (const char* key : {"seconds", "tokens_per_second", "mfu", "memory", "time", "data_seconds", "copy_seconds",
                            "save_seconds", "save_write_seconds", "scale_misses", "scale_guesses"})
      json.erase(key);
    if (json.contains("eval"))
      for (const char* key : {"time", "seconds"}) json["eval"].erase(key);
    all += json.dump() + "\n";
  }
  return all;
}

}  // namespace tandem::test
