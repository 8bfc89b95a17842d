#include "tests/cli/command.h"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <pty.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <map>

namespace tandem::test {
namespace {

void redirect(const char* path, int instead, int descriptor) {
  const int file = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
  if (file < 0 || dup2(instead < 0 ? file : instead, descriptor) < 0) _exit(126);
}

[[noreturn]] void become(const std::string& directory, const std::string& program, std::vector<std::string> arguments,
                         Streams streams) {
  std::vector<char*> pointers;
  for (std::string& a : arguments) pointers.push_back(a.data());
  pointers.push_back(nullptr);
  if (chdir(directory.c_str()) != 0) _exit(126);
  redirect(".stdout", streams.out, STDOUT_FILENO);
  redirect(".stderr", streams.err, STDERR_FILENO);
  execv(program.c_str(), pointers.data());
  _exit(127);
}

}  // namespace

Outcome Workplace::tandem(const std::vector<std::string>& arguments, Streams streams) const {
  const char* program = std::getenv("TANDEM_EXECUTABLE");
  TANDEM_CHECK(program != nullptr, "TANDEM_EXECUTABLE does not name the command under test");
  return run(program, arguments, streams);
}

Outcome Workplace::run(const std::string& program, const std::vector<std::string>& arguments, Streams streams) const {
  std::vector<std::string> all = {program};
  all.insert(all.end(), arguments.begin(), arguments.end());
  const pid_t child = fork();
  TANDEM_CHECK(child >= 0, "no process for {}", program);
  if (child == 0) become(path("."), program, std::move(all), streams);
  int status = 0;
  TANDEM_CHECK(waitpid(child, &status, 0) == child, "{} was lost", program);
  return {WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status), read(".stdout"), read(".stderr")};
}

void Workplace::write_model(const std::string& directory, const Json& changes) const {
  Json config = {{"architectures", {"LlamaForCausalLM"}},
                 {"model_type", "llama"},
                 {"vocab_size", 257},
                 {"hidden_size", 32},
                 {"intermediate_size", 48},
                 {"num_hidden_layers", 2},
                 {"num_attention_heads", 2},
                 {"num_key_value_heads", 1},
                 {"max_position_embeddings", 64},
                 {"tie_word_embeddings", true},
                 {"eos_token_id", 256}};
  for (const auto& [key, value] : changes.items()) config[key] = value;
  make_directories(path(directory));
  write(directory + "/config.json", config.dump());
}

void Workplace::copy_golden(const std::string& name, const std::string& directory) const {
  const char* root = std::getenv("TANDEM_SOURCE_ROOT");
  std::filesystem::copy(std::string(root ? root : ".") + "/tests/golden/cases/" + name, path(directory));
}

void Workplace::write_tokens(const std::string& name, uint32_t count, int32_t vocabulary) const {
  std::vector<int32_t> tokens(count);
  for (uint32_t i = 0; i < count; ++i) tokens[i] = int32_t((7 * i * i + i / 3) % uint32_t(vocabulary));
  write(name, llmq_v2(tokens, vocabulary));
}

std::string small_config(const std::vector<std::pair<std::string, std::string>>& changes) {
  std::map<std::string, std::string> values = {{"model.path", "\"model\""},         {"model.from_scratch", "true"},
                                               {"data.train", "[\"train.bin\"]"},   {"data.sequence_length", "16"},
                                               {"batch.micro_batch", "2"},          {"precision.recipe", "\"fp32\""},
                                               {"optimizer.learning_rate", "1e-2"}, {"schedule.steps", "3"},
                                               {"schedule.warmup_steps", "1"},      {"run.directory", "\"run\""}};
  for (const auto& [key, value] : changes) values[key] = value;
  std::string text;  // a dotted key needs no section
  for (const auto& [key, value] : values) text += fmt::format("{} = {}\n", key, value);
  return text;
}

bool no_terminals() {
  int terminal = -1, inside = -1;
  if (openpty(&terminal, &inside, nullptr, nullptr, nullptr) != 0) return true;
  close(inside);
  close(terminal);
  return false;
}

void check_refused(const Outcome& o, int exit, std::initializer_list<std::string_view> named) {
  INFO("standard error: ", o.err);
  CHECK(o.exit == exit);
  CHECK(o.out == "");
  for (std::string_view text : named) {
    CAPTURE(std::string(text));
    CHECK(o.says(text));
  }
}

std::vector<std::string> keys_of(const Json& object) {
  std::vector<std::string> keys;
  for (const auto& item : object.items()) keys.push_back(item.key());
  return keys;
}

}  // namespace tandem::test
