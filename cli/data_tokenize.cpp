#include "cli/data_tokenize.h"

#include "cli/checks.h"
#include "cli/output.h"
#include "cli/token_list.h"
#include "core/base/message.h"
#include "core/data/tokenize.h"
#include "core/data/tokenizer.h"

namespace tandem::cli {
namespace {

constexpr const char* kHelp = R"(Text to token files, or a prompt to token ids and back.

A .txt file is one document; a .jsonl has one per line:
  {"text": "..."}                            all of it is learned
  {"text": "...", "targets": [[0, 5]]}       the tokens that share one of these bytes are
  {"prompt": "...", "completion": "..."}     the completion is
Each may be packed as .gz or .zst; - is JSONL from standard input. Chats: tools/tokenize.)";

struct Options : TokenizeOptions {
  std::string end_token, prompt, decode, special = "ids";
};

// One of three things is asked for.
void check_options(const Options& o) {
  const int asked = !o.inputs.empty() + !o.prompt.empty() + !o.decode.empty();
  if (asked != 1) fail(Exit::configuration, "data tokenize", "give one of inputs, --prompt TEXT and --decode 1,2,3");
  if (!o.inputs.empty() && o.out.empty())
    fail(Exit::configuration, "--out", "is missing; name the token file to write");
  if (o.inputs.empty() && !o.out.empty())
    fail(Exit::configuration, "--out", "is for inputs; --prompt and --decode print their result");
}

Exit run(Options o) {
  check_options(o);
  o.special_tokens = o.special == "ids";
  if (!o.end_token.empty()) o.end = o.end_token;
  if (!o.prompt.empty()) {
    print(fmt::format("{}\n", fmt::join(tokenize_prompt(o, o.prompt), ",")));
  } else if (!o.decode.empty()) {
    print(decode_tokens(o, parse_token_list(o.decode, "--decode")) + "\n");
  } else {
    write_message(describe(tokenize(o)));
  }
  return Exit::ok;
}

}  // namespace

void add_data_tokenize(CLI::App& data, Action& action) {
  CLI::App* command = data.add_subcommand("tokenize", kHelp);
  auto o = std::make_shared<Options>();
  command->add_option("--tokenizer", o->tokenizer, "bytes, or a model directory with a tokenizer")->required();
  command->add_option("inputs", o->inputs, ".txt and .jsonl files, plain, .gz or .zst; - for standard input");
  command->add_option("--out", o->out, "the token file to write");
  command->add_option("--end", o->end_token, "the token behind each document; default: the tokenizer's end token");
  command->add_flag("--bos", o->bos, "the tokenizer's bos in front of each document");
  command->add_option("--special-tokens", o->special, "special tokens written out in a text: ids (default) or text")
      ->check(CLI::IsMember({"ids", "text"}));
  command->add_option("--shard-tokens", o->shard_tokens, "several files, a new one at the first document after so many")
      ->transform(whole_number(1, 0x7fffffff));
  command->add_option("--threads", o->threads, "default: one per processor")->transform(whole_number(1, 1024));
  command->add_option("--prompt", o->prompt, "print the token ids of a text");
  command->add_option("--decode", o->decode, "print the text of token ids: 1,2,3");
  command->callback([&action, o] { action = [o] { return run(*o); }; });
}

}  // namespace tandem::cli
