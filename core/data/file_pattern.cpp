#include "core/data/file_pattern.h"

#include <glob.h>

#include <algorithm>

#include "core/base/error.h"
#include "core/base/file.h"

namespace tandem {

std::vector<std::string> files_of(const std::string& entry, std::string_view where) {
  if (entry.find_first_of("*?[") == std::string::npos || file_exists(entry)) return {entry};
  glob_t found = {};
  const int error = ::glob(entry.c_str(), GLOB_NOSORT, nullptr, &found);
  std::vector<std::string> files(found.gl_pathv, found.gl_pathv + found.gl_pathc);
  ::globfree(&found);
  if (error == GLOB_NOSPACE) throw std::bad_alloc();
  if (files.empty()) fail(Exit::configuration, where, "{} matches no file; name files, or a pattern of some", entry);
  std::sort(files.begin(), files.end());
  return files;
}

}  // namespace tandem
