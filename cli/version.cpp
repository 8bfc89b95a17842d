#include <fmt/ranges.h>

#include "cli/commands.h"
#include "cli/commit.h"
#include "cli/options.h"

namespace tandem::cli {

Version version() {
  return {TANDEM_VERSION, TANDEM_COMMIT};
}

std::string version_text(const Registry& registry) {
  return fmt::format("tandem {}\ncommit {}\ncompiler {}\noptions {}\nbackends {}", TANDEM_VERSION, TANDEM_COMMIT,
                     TANDEM_COMPILER, TANDEM_OPTIONS, fmt::join(registry.backends(), ", "));
}

}  // namespace tandem::cli
