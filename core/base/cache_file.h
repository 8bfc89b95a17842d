// Files that only save time, in ${XDG_CACHE_HOME:-~/.cache}/tandem: a failure to write one is reported on standard
// error, and nothing else comes of it.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <vector>

namespace tandem {

// name: of a file in that directory. Empty when there is none, or no such directory can be named.
std::vector<std::byte> read_cache_file(const std::string& name);
void write_cache_file(const std::string& name, std::span<const std::byte> data);

}  // namespace tandem
