// What happens to a text before it is split: NFC, replaced and prepended strings.
#pragma once

#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "core/data/tokenizer.h"

namespace tandem {

struct Nfc {};
struct Replace {
  std::string from, to;
};
struct Prepend {
  std::string text;
  bool unless_there = false;  // not before a text that begins with it
};
using NormalizerStep = std::variant<Nfc, Replace, Prepend>;

// A text, and for each of its bytes the bytes of the original that it stands for.
struct Normalized {
  std::string_view text;           // in the original, or in storage
  std::vector<ByteRange> origins;  // (text) where they were asked for; else empty
  std::string storage;

  // Makes bytes begin .. end - 1 of an original text, as they are.
  void assign(std::string_view original, ByteRange range, bool with_origins);
};

// prepends: false where the text goes on from before
void normalize(const std::vector<NormalizerStep>& steps, bool prepends, Normalized& text);

}  // namespace tandem
