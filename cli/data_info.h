// `tandem data info`: what a token file holds.
#pragma once

#include "cli/commands.h"

namespace tandem::cli {

void add_data_info(CLI::App& data, Action& action);

}  // namespace tandem::cli
