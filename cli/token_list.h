// Token ids on the command line: 1,2,3.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace tandem::cli {

// Spaces may stand around the numbers. Exit::configuration, naming the flag: anything else.
std::vector<int32_t> parse_token_list(std::string_view text, std::string_view flag);

}  // namespace tandem::cli
