// Byte-pair encoding: a piece of text becomes the symbols of its characters, of which neighbours are merged, the pair
// of lowest rank first, the leftmost of equals first.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/data/token_table.h"

namespace tandem {

struct Merge {
  int32_t left, right, result;
};

struct BpeOptions {
  bool byte_level = false;     // a character is a byte, spelled as ByteLevel does
  bool byte_fallback = false;  // a character that is no token is the <0xNN> of its bytes, if all are there
  bool fuse_unk = false;       // neighbours that are unk are one
  bool ignore_merges = false;  // a piece that is a token is that token
  std::optional<int32_t> unk;
};

struct Symbol {
  int32_t id;
  uint32_t length;  // bytes of the piece
};

// What encoding keeps from piece to piece, for one thread: a cache of short words, and memory to work in.
struct BpeWorkspace {
  static constexpr size_t kSlots = 1 << 16;  // 4 MiB; half as many make it miss more, twice as many leave the L2 cache
  static constexpr size_t kMostBytes = 34, kMostIds = 7;
  struct alignas(64) Slot {
    uint8_t bytes = 0, ids = 0;  // 0 bytes: free
    char word[kMostBytes];
    int32_t id[kMostIds];
  };
  static_assert(sizeof(Slot) == 64);

  std::vector<Slot> slots = std::vector<Slot>(kSlots);
  std::vector<Symbol> symbols;
};

// The merges by their pairs.
class MergeTable {
 public:
  struct Entry {
    uint64_t pair = ~uint64_t(0);
    uint32_t rank = 0;
    int32_t result = 0;
  };
  explicit MergeTable(const std::vector<Merge>& merges);
  const Entry* find(int32_t left, int32_t right) const;  // null: they do not merge

 private:
  std::vector<Entry> entries_;  // by the hash of the pair
  uint32_t shift_ = 0;
};

// Characters that stand side by side in a token: nothing else is ever merged.
class Neighbours {
 public:
  explicit Neighbours(const TokenTable& tokens);
  bool hold(char32_t left, char32_t right) const;

 private:
  std::array<std::array<bool, 128>, 128> ascii_ = {};  // [left][right]
  std::vector<uint64_t> others_;                       // left << 32 | right, by their hash
};

class Bpe {
 public:
  // merges: by rank; of a pair that stands twice the last counts. where: for messages.
  Bpe(std::shared_ptr<const TokenTable> tokens, const std::vector<Merge>& merges, const BpeOptions& options,
      std::string where);

  // Appends the ids of a piece. Exit::input: a character that is no token, nor anything in its place.
  void encode(std::string_view piece, BpeWorkspace& workspace, std::vector<int32_t>& ids) const;
  // The same with the bytes of each, without the cache.
  void encode(std::string_view piece, std::vector<Symbol>& symbols) const;

  // True if no merge can go over the boundary between these two characters, in whatever piece they stand.
  bool parts(char32_t left, char32_t right) const;

 private:
  void add_characters();
  void add_byte_tokens();
  bool merges_byte_or_unk(const std::vector<Merge>& merges) const;

  int32_t initial(char32_t c) const;
  bool covered(char32_t c) const { return all_bytes_ || initial(c) >= 0; }
  size_t word_end(std::string_view piece, size_t begin) const;
  void encode_word(std::string_view word, BpeWorkspace& workspace, std::vector<int32_t>& ids) const;
  void append_word(std::string_view word, std::vector<Symbol>& symbols) const;
  void append_symbols(std::string_view word, std::vector<Symbol>& symbols) const;
  bool append_bytes(std::string_view character, uint32_t length, std::vector<Symbol>& symbols) const;
  void merge_short(std::vector<Symbol>& symbols, size_t first) const;
  void merge_long(std::vector<Symbol>& symbols, size_t first) const;

  std::shared_ptr<const TokenTable> tokens_;
  BpeOptions options_;
  std::string where_;
  MergeTable merges_;
  std::vector<int32_t> characters_;       // (64 Ki) the id of each character below U+10000; -1: none
  std::array<int32_t, 256> bytes_;        // the id of each byte's <0xNN>; -1: none
  bool all_bytes_ = false;                // byte_fallback has all 256
  std::optional<Neighbours> neighbours_;  // words are cut between all others; not there: none is cut
};

}  // namespace tandem
