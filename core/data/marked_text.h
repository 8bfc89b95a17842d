// Tokens as runs that are targets or are not, and as text, for people to look at.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "core/data/token_file.h"
#include "core/data/tokenizer.h"

namespace tandem {

// Consecutive tokens that are all targets, or none of them.
struct MarkedRun {
  std::vector<int32_t> ids;
  bool target = false;
  std::string text;  // what the ids add to the text in front of them; empty without a tokenizer
};

struct MarkedTokens {
  uint64_t first = 0, tokens = 0;
  bool first_counts =
      true;  // the first token may be a target: not where documents are kept apart, nor without an input

  bool is_target(const TokenFile& file, uint64_t i) const {
    return i > 0 && (i > first || first_counts) && file.valid_target(i);
  }
  uint64_t targets(const TokenFile& file) const;
};

// Calls visit with the runs in order; a long one comes in parts. A character whose bytes stand in two runs is U+FFFD in
// the first and whole in the second. tokenizer: may be null.
void for_each_run(const TokenFile& file, const MarkedTokens& marked, const Tokenizer* tokenizer,
                  const std::function<void(const MarkedRun&)>& visit);

// text with control characters but \n and \t written out as \x1b, so that none drives a terminal.
std::string without_controls(std::string_view text);

}  // namespace tandem
