#include "core/data/tokenize.h"

#include "cli/commands.h"
#include "cli/data_info.h"
#include "core/base/message.h"

namespace tandem::cli {
namespace {

struct TokenizeOptions {
  std::string tokenizer, out;
  std::vector<std::string> inputs;
};

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

}  // namespace

void add_data(CLI::App& app, Action& action) {
  CLI::App* data = app.add_subcommand("data", "Make and inspect token files");
  data->require_subcommand(1);
  add_tokenize(*data, action);
  add_data_info(*data, action);
}

}  // namespace tandem::cli
