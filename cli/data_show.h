// `tandem data show`: the text of a token file with its targets marked.
#pragma once

#include "cli/commands.h"

namespace tandem::cli {

void add_data_show(CLI::App& data, Action& action);

}  // namespace tandem::cli
