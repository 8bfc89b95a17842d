// What the values of flags must be. CLI11 would take 0x10 and 010 for 16 and 8, -1 for 2^64-1, and nan for a number.
#pragma once

#include <CLI/CLI.hpp>
#include <cstdint>

namespace tandem::cli {

CLI::Validator whole_number(uint64_t least, uint64_t most);  // decimal
CLI::Validator real_number(double least, double most);

// Exit::configuration, naming it, for an argument that is there and empty: CLI11 would take it for one left out.
void refuse_empty(const CLI::App& app);

}  // namespace tandem::cli
