// `tandem data tokenize`: text to token files, and prompts to ids and back.
#pragma once

#include "cli/commands.h"

namespace tandem::cli {

void add_data_tokenize(CLI::App& data, Action& action);

}  // namespace tandem::cli
