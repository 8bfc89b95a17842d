// Whether the long sweeps run too: tools/test --full.
#pragma once

#include <cstdlib>
#include <string_view>

namespace tandem::test {

inline bool is_full() {
  const char* full = std::getenv("TANDEM_FULL");
  return full != nullptr && std::string_view(full) == "1";
}

}  // namespace tandem::test
