// What the values of flags must be. CLI11 would take 0x10 and 010 for 16 and 8, -1 for 2^64-1, and nan for a number.
#pragma once

#include <CLI/CLI.hpp>
#include <cstdint>
#include <span>

namespace tandem::cli {

CLI::Validator whole_number(uint64_t least, uint64_t most);  // decimal
CLI::Validator real_number(double least, double most);

// Exit::configuration, naming it, for an argument that is there and empty: CLI11 would take it for one left out.
void refuse_empty(const CLI::App& app);

// The same for --flag= before CLI11 sees it, which would take the next word for the value. Keys of a configuration have
// a dot; they may be set to nothing.
void refuse_missing_values(std::span<char* const> arguments);

}  // namespace tandem::cli
