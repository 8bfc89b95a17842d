// `data tokenize`: text to token files.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace tandem {

struct TokenizeOptions {
  std::string tokenizer;            // "bytes" or a model directory
  std::vector<std::string> inputs;  // see text_reader.h
  std::string out;
  std::optional<std::string> end;  // the token behind each document; none: the tokenizer's or the model's end token
  bool bos = false;                // the tokenizer's bos in front of each document
  bool special_tokens = true;      // those written out in a text become their ids
  uint64_t shard_tokens = 0;       // see token_shards.h
  unsigned threads = 0;            // 0: one per processor; no byte of the result depends on them
};

struct TokenizeResult {
  struct File {
    std::string path;
    uint64_t tokens = 0, documents = 0, targets = 0;
  };
  std::vector<File> files;
  uint64_t special = 0;   // documents that spell out special tokens
  uint64_t empty = 0;     // documents without a token, left out
  uint64_t replaced = 0;  // parts of .txt inputs that were no UTF-8
};

// Exit::configuration: a tokenizer that is not read or has no such token, an input of another kind, or that is out.
// Exit::input, naming FILE:LINE: what parse_row refuses; no token at all. Nothing is written then.
TokenizeResult tokenize(const TokenizeOptions& options);

// A prompt's tokens, by the options' tokenizer, special tokens and bos; and the text of tokens.
std::vector<int32_t> tokenize_prompt(const TokenizeOptions& options, const std::string& prompt);
std::string decode_tokens(const TokenizeOptions& options, const std::vector<int32_t>& tokens);

// The messages that say what was made: a line per file, and one per count that is not 0.
std::string describe(const TokenizeResult& result);

}  // namespace tandem
