// The text of an answer while its tokens come: what prompt and answer decode to, less what the prompt does.
#pragma once

#include <string>
#include <vector>

#include "core/data/tokenizer.h"

namespace tandem {

// The text of all of an answer.
std::string answer_text(const Tokenizer& tokenizer, std::vector<int32_t> prompt, std::span<const int32_t> answer);

class TextStream {
 public:
  // tokenizer outlives it
  TextStream(const Tokenizer& tokenizer, std::vector<int32_t> prompt);

  // The text that this token adds. Bytes at the end that are no character yet are held back.
  std::string push(int32_t token);
  // What is still held back: bytes that became no character are U+FFFD.
  std::string finish();

 private:
  std::string answer() const;

  const Tokenizer& tokenizer_;
  std::vector<int32_t> tokens_;
  std::string prompt_text_;
  std::string shown_;
};

}  // namespace tandem
