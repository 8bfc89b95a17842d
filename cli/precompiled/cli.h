// The precompiled header of the command line; see core/base/precompiled.h.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <functional>
#include <nlohmann/json.hpp>
