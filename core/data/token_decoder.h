// From the texts of tokens to a text.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

namespace tandem {

struct ByteLevelDecoder {};     // characters of the byte alphabet to bytes, all tokens to one text
struct ByteFallbackDecoder {};  // runs of <0xNN> to the characters that they are
struct FuseDecoder {};          // all tokens to one
struct ReplaceDecoder {
  std::string from, to;
};
struct MetaspaceDecoder {
  std::string replacement;
  bool prepends;  // the first one of the first token was put there
};
struct StripDecoder {
  std::string content;   // a character, taken off each token
  uint32_t start, stop;  // so often, from its start and its end
};
using DecoderStep =
    std::variant<ByteLevelDecoder, ByteFallbackDecoder, FuseDecoder, ReplaceDecoder, MetaspaceDecoder, StripDecoder>;

// Without steps the tokens are joined by spaces. Valid UTF-8 if the tokens are.
std::string run_decoder(const std::optional<std::vector<DecoderStep>>& steps, std::vector<std::string> tokens);

}  // namespace tandem
