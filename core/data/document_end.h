// How the documents of a token file are told apart.
#pragma once

#include <optional>
#include <string>

#include "core/data/token_file.h"

namespace tandem {

struct DocumentEnd {
  std::string where = "data.document_end";  // the key or flag, for messages
  bool automatic = true;                    // by the file's document starts, where it has them
  std::optional<int32_t> token = {};        // ends documents in files that do not say where they start, or in all
};

// The file's documents; required: one that holds neither starts nor the token is refused, else it is one document, with
// a warning. Exit::configuration: also a file with a mask in which the automatic token ends turns, and a token that is
// needed and not there.
Documents documents_of(const TokenFile& file, const DocumentEnd& end, bool required);

}  // namespace tandem
