// The token files that a stream of documents becomes: one, or several of about the same size.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "core/data/token_writer.h"

namespace tandem {

class TokenShards {
 public:
  // shard_tokens: a new file starts at the first document after so many tokens; 0: one file, out itself. Shards are
  // NAME-00000.bin, NAME-00001.bin, ... for NAME.bin. Exit::configuration: shards of that name are there already.
  TokenShards(const std::string& out, uint64_t shard_tokens, uint32_t vocabulary_size);

  // The file that the next document goes to; it is begun.
  TokenWriter& begin_document();
  TokenWriter& current() { return *writers_.back(); }
  // Completes all files and puts them in place; there must be one.
  void finish();
  const std::vector<std::unique_ptr<TokenWriter>>& files() const { return writers_; }

 private:
  // The name of a shard. Refuses one that is there: what stays from before would be read with the new ones.
  std::string shard_path(size_t number) const;

  std::string out_;
  uint64_t shard_tokens_;
  uint32_t vocabulary_size_;
  std::vector<std::unique_ptr<TokenWriter>> writers_;  // all but the last are finished
};

}  // namespace tandem
