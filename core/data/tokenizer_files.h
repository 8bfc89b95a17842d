// The files of a model directory that say what its text means: tokenizer, chat templates, how to generate.
#pragma once

#include <string>
#include <vector>

namespace tandem {

struct TokenizerFiles {
  std::vector<std::string> names;  // relative to the directory, sorted; chat templates in subdirectories too
  bool has_tokenizer = false;      // one of them is more than generation_config.json
};

// Found by name, whether they can be read or not: a link to nowhere is one. Exit::input: directory cannot be listed;
// what is not one has none.
TokenizerFiles tokenizer_files(const std::string& directory);

}  // namespace tandem
