#include "core/base/error.h"

namespace tandem {

void check_failed(const char* condition, const char* file, int line, const std::string& message) {
  throw Error(Exit::internal,
              fmt::format("[{}:{}] broken invariant {}: {}; this is a defect of Tandem, please report it", file, line,
                          condition, message));
}

}  // namespace tandem
