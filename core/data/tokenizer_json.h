// tokenizer.json, as the Python package `tokenizers` writes it, to the parts of a tokenizer.
#pragma once

#include <string>

#include "core/base/json.h"
#include "core/data/bpe_tokenizer.h"

namespace tandem {

// Exit::configuration: a part that is not read, named by its path. Exit::input: a malformed file.
BpeTokenizerParts read_tokenizer_json(const Json& json, const std::string& file);

}  // namespace tandem
