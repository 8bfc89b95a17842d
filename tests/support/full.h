// Long tests run a sample, and all with TANDEM_FULL=1 (tools/test --full).
#pragma once

#include <cstdlib>

namespace tandem::test {

inline bool full() {
  const char* value = std::getenv("TANDEM_FULL");
  return value && *value == '1';
}

}  // namespace tandem::test
