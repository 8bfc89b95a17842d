// `data tokenize`: text files to one token file.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace tandem {

struct TokenizeResult {
  uint64_t tokens = 0;
  uint64_t documents = 0;
};

// tokenizer: "bytes" or a model directory. A .txt file is one document; a .jsonl file has one a line, the string under
// the key text (empty lines are skipped). Each document is followed by the tokenizer's end token. Writes LLMQ version 2
// to out. Exit::configuration: a tokenizer that is not read, an input of another kind, or that is out.
// Exit::input, naming file and line: a line that is not such an object.
TokenizeResult tokenize(const std::string& tokenizer, const std::vector<std::string>& inputs, const std::string& out);

// Calls document with the text of each line of a .jsonl file's content; path is for messages.
void for_each_document(std::string_view jsonl, const std::string& path,
                       const std::function<void(std::string_view text)>& document);

}  // namespace tandem
