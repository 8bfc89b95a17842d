// Lists of files, given by name or by pattern.
#pragma once

#include <string>
#include <vector>

namespace tandem {

// The files that an entry names: itself, or what a pattern with *, ? or [] matches, sorted by bytes.
// Exit::configuration, naming where (a key or flag): a pattern that matches nothing.
std::vector<std::string> files_of(const std::string& entry, std::string_view where);

}  // namespace tandem
