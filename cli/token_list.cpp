#include "cli/token_list.h"

#include <algorithm>
#include <charconv>

#include "core/base/error.h"

namespace tandem::cli {

std::vector<int32_t> parse_token_list(std::string_view text, std::string_view flag) {
  std::vector<int32_t> tokens;
  for (size_t at = 0; at <= text.size();) {
    const size_t comma = std::min(text.find(',', at), text.size());
    std::string_view word = text.substr(at, comma - at);
    word.remove_prefix(std::min(word.find_first_not_of(' '), word.size()));
    word = word.substr(0, word.find_last_not_of(' ') + 1);
    int32_t token = -1;
    const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), token);
    if (error != std::errc() || end != word.data() + word.size() || token < 0)
      fail(Exit::configuration, flag, "'{}' is not a list of token ids such as 1,2,3", text);
    tokens.push_back(token);
    at = comma + 1;
  }
  return tokens;
}

}  // namespace tandem::cli
