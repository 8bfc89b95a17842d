#include "core/data/document_end.h"

#include "core/base/error.h"
#include "core/base/message.h"

namespace tandem {
namespace {

// A chat's turns end in the same token as a chat: one that is no target ended someone else's turn.
void refuse_turns(const TokenFile& file, const DocumentEnd& end) {
  if (!file.has_mask()) return;
  for (uint64_t i = 0; i < file.size(); ++i)
    if (file.token(i) == *end.token && !file.valid_target(i))
      fail(Exit::configuration, end.where,
           "{}: token {} at {} ends a turn, not a document; tokenize it again (the file then says where documents "
           "start), or name the token that ends documents",
           file.path(), *end.token, i);
}

// A document starts behind each end token, and at the start of the file.
Documents split(const TokenFile& file, int32_t end) {
  std::vector<uint64_t> starts;
  for (uint64_t i = 0; i < file.size(); ++i)
    if (i == 0 || file.token(i - 1) == end) starts.push_back(i);
  starts.push_back(file.size());
  return Documents(std::move(starts));
}

bool holds(const TokenFile& file, int32_t token) {
  for (uint64_t i = 0; i < file.size(); ++i)
    if (file.token(i) == token) return true;
  return false;
}

}  // namespace

Documents documents_of(const TokenFile& file, const DocumentEnd& end, bool required) {
  const bool says = file.documents().known();
  if (end.automatic && says) return file.documents();
  if (!end.token)
    fail(Exit::configuration, end.where,
         "{} does not say where its documents start, and no tokenizer names their end; give the token's id",
         file.path());
  if (says)
    warn(fmt::format("{}: {} says where its documents start; token {} is taken for their end all the same", end.where,
                     file.path(), *end.token));
  if (end.automatic) refuse_turns(file, end);
  if (!holds(file, *end.token)) {
    if (required && !says)
      fail(Exit::configuration, end.where,
           "{} neither says where its documents start nor holds token {}, their end; tokenize it again, or name the "
           "token that ends documents",
           file.path(), *end.token);
    warn(fmt::format("{}: token {} is nowhere in {}, which is one document then", end.where, *end.token, file.path()));
  }
  return split(file, *end.token);
}

}  // namespace tandem
