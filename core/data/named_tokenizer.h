// The tokenizer that a command names, without its model.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "core/data/tokenizer.h"

namespace tandem {

struct NamedTokenizer {
  std::unique_ptr<Tokenizer> tokenizer;
  std::optional<int32_t> end;  // a document's: the tokenizer's end token, or else the first of config.json's
};

// where: "bytes" or a model directory. Exit::configuration: neither, or a tokenizer that is not read.
NamedTokenizer open_named_tokenizer(const std::string& where);

}  // namespace tandem
