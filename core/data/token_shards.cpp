#include "core/data/token_shards.h"

#include "core/base/error.h"

namespace tandem {
TokenShards::TokenShards(const std::string& out, uint64_t shard_tokens, uint32_t vocabulary_size)
    : out_(out), shard_tokens_(shard_tokens), vocabulary_size_(vocabulary_size) {
  if (shard_tokens_ > 0) shard_path(0);
}

std::string TokenShards::shard_path(size_t number) const {
  const std::string ending = out_.ends_with(".bin") ? ".bin" : "";
  std::string path = fmt::format("{}-{:05}{}", out_.substr(0, out_.size() - ending.size()), number, ending);
  if (file_exists(path))
    fail(Exit::configuration, "--out", "{} is there already; remove the shards from before, or name another file",
         path);
  return path;
}

TokenWriter& TokenShards::begin_document() {
  const bool full = shard_tokens_ > 0 && !writers_.empty() && current().size() >= shard_tokens_;
  if (full) current().finish();
  if (full || writers_.empty())
    writers_.push_back(
        std::make_unique<TokenWriter>(shard_tokens_ > 0 ? shard_path(writers_.size()) : out_, vocabulary_size_));
  current().begin_document();
  return current();
}

void TokenShards::finish() {
  current().finish();
  if (shard_tokens_ > 0) shard_path(writers_.size());
  for (const auto& writer : writers_) writer->publish();
}

}  // namespace tandem
