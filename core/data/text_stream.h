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
  void forget(std::string_view text);

  const Tokenizer& tokenizer_;
  std::vector<int32_t> tokens_;  // the newest ones, behind the context; first the prompt is the context
  std::string context_;          // its text
  std::string shown_;            // the tokens behind it
  size_t most_;                  // tokens that are kept
};

}  // namespace tandem
