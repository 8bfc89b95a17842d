// Rows to tokens, and which of them are targets.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "core/data/row.h"

namespace tandem {

// Documents in order: their tokens in runs, each of which counts as a target or does not.
struct EncodedRows {
  struct Run {
    uint64_t tokens = 0;
    bool targets = true;
    bool begins = false;  // a document
    bool ranged = false;  // whose row told its targets
  };
  std::vector<int32_t> tokens;
  std::vector<Run> runs;
  uint64_t special = 0;  // documents that spell out special tokens
  uint64_t empty = 0;    // documents without a token
};

struct RowEncoder {
  const Tokenizer& tokenizer;
  int32_t end = 0;             // behind each document
  std::optional<int32_t> bos;  // in front of each, a target where all of it is
  bool special_tokens = true;  // those written out in a text become their ids

  void encode(const Row& row, EncodedRows& out) const;
  // A part of a document that is all targets.
  void encode_part(std::string_view text, bool begins, bool ends, EncodedRows& out) const;
};

}  // namespace tandem
