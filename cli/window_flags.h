// The flags that say how a token file is read as windows, as [data] does for a run.
#pragma once

#include <CLI/CLI.hpp>

#include "core/data/windows.h"

namespace tandem::cli {

void add_format_flag(CLI::App& command, RawFormat& format);
// All of the options but the sequence length; a document end that is "auto" has no token yet.
void add_window_flags(CLI::App& command, WindowOptions& options);

}  // namespace tandem::cli
