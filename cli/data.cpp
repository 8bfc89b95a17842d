#include "core/data/tokenize.h"

#include <nlohmann/json.hpp>

#include "cli/commands.h"
#include "cli/output.h"
#include "core/base/message.h"
#include "core/data/token_file.h"

namespace tandem::cli {
namespace {

struct TokenizeOptions {
  std::string tokenizer, out;
  std::vector<std::string> inputs;
};

Exit info(const std::string& path, bool json) {
  const TokenFile file(path);
  nlohmann::ordered_json vocabulary;  // null: the header does not tell
  if (file.vocabulary_size() > 0) vocabulary = file.vocabulary_size();
  const nlohmann::ordered_json j{
      {"format", file.format()}, {"tokens", file.size()}, {"vocabulary_size", vocabulary}, {"targets", file.targets()}};
  print(json ? j.dump() + "\n"
             : fmt::format("{}: {}, {} tokens, vocabulary {}, {} targets\n", path, file.format(), file.size(),
                           vocabulary.is_null() ? "unknown" : vocabulary.dump(), file.targets()));
  return Exit::ok;
}

void add_tokenize(CLI::App& data, Action& action) {
  CLI::App* command = data.add_subcommand(
      "tokenize", "Text to a token file. A .txt file is one document; a .jsonl has one a line, under the key text");
  auto o = std::make_shared<TokenizeOptions>();
  command->add_option("--tokenizer", o->tokenizer, "bytes, or a model directory with a tokenizer")->required();
  command->add_option("inputs", o->inputs, ".txt and .jsonl files")->required();
  command->add_option("--out", o->out, "the token file to write")->required();
  command->callback([&action, o] {
    action = [o] {
      const TokenizeResult r = tokenize(o->tokenizer, o->inputs, o->out);
      write_message(fmt::format("{}: {} tokens of {} documents\n", o->out, r.tokens, r.documents));
      return Exit::ok;
    };
  });
}

void add_info(CLI::App& data, Action& action) {
  CLI::App* command = data.add_subcommand("info", "What a token file holds");
  auto path = std::make_shared<std::string>();
  auto json = std::make_shared<bool>(false);
  command->add_option("file", *path, "a token file (LLMQ or llm.c .bin)")->required();
  command->add_flag("--json", *json, "one JSON object on standard output");
  command->callback([&action, path, json] { action = [path, json] { return info(*path, *json); }; });
}

}  // namespace

void add_data(CLI::App& app, Action& action) {
  CLI::App* data = app.add_subcommand("data", "Make and inspect token files");
  data->require_subcommand(1);
  add_tokenize(*data, action);
  add_info(*data, action);
}

}  // namespace tandem::cli
