// Sizes in bytes as people write them, and whole numbers rounded up.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace tandem {

// Bytes in "1024", "16GiB", "1.5 GB"; units KiB, MiB, GiB and GB. where: the flag or key, for messages.
// Exit::configuration.
uint64_t parse_size(std::string_view text, std::string_view where);

std::string size_text(uint64_t bytes);  // "3.25 MiB", "1.50 GiB"

// The quotient rounded up, and the least multiple of `to` that is at least n; to > 0.
constexpr uint64_t divide_up(uint64_t n, uint64_t to) {
  return (n + to - 1) / to;
}
constexpr uint64_t round_up(uint64_t n, uint64_t to) {
  return divide_up(n, to) * to;
}

}  // namespace tandem
