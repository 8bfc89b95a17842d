#include "core/data/bpe.h"
#include "core/base/utf8.h"

#include <bit>
#include <cstring>
#include <queue>

#include "core/base/error.h"
#include "core/data/byte_level.h"

namespace tandem {
namespace {

constexpr size_t kLongWord = 64;                  // symbols from which a heap beats a scan
constexpr uint64_t kFactor = 0x9e3779b97f4a7c15;  // 2^64 divided by the golden ratio, which spreads neighbours
constexpr uint64_t kFree = ~uint64_t(0);
constexpr char32_t kDirect = 0x10000;  // characters below are looked up in a table

uint64_t pair_key(uint32_t left, uint32_t right) {
  return uint64_t(left) << 32 | right;
}

uint64_t load(const char* at, size_t bytes) {
  uint64_t word = 0;
  std::memcpy(&word, at, bytes);
  return word;
}

// A slot of the cache, from the word's length and bytes.
size_t slot_of(std::string_view word) {
  const char* at = word.data();
  const size_t n = word.size();
  uint64_t hash = n * kFactor;
  const auto mix = [&hash](uint64_t part) {
    hash = (hash ^ part) * kFactor;
    hash ^= hash >> 32;
  };
  if (n >= 8) {
    for (size_t i = 0; i + 8 < n; i += 8) mix(load(at + i, 8));
    mix(load(at + n - 8, 8));
  } else if (n >= 4) {
    mix(load(at, 4) << 32 | load(at + n - 4, 4));
  } else if (n > 0) {
    mix(uint64_t(uint8_t(at[0])) << 16 | uint64_t(uint8_t(at[n / 2])) << 8 | uint8_t(at[n - 1]));
  }
  return (hash * kFactor) >> 48;
}
static_assert(BpeWorkspace::kSlots == 1 << 16);

}  // namespace

MergeTable::MergeTable(const std::vector<Merge>& merges) {
  const size_t size = std::bit_ceil(2 * merges.size() + 2);
  shift_ = 64 - uint32_t(std::countr_zero(size));
  entries_.resize(size);
  for (size_t rank = 0; rank < merges.size(); ++rank) {
    const Merge& merge = merges[rank];
    const uint64_t key = pair_key(uint32_t(merge.left), uint32_t(merge.right));
    size_t slot = (key * kFactor) >> shift_;
    while (entries_[slot].pair != kFree && entries_[slot].pair != key) slot = (slot + 1) & (size - 1);
    entries_[slot] = {key, uint32_t(rank), merge.result};
  }
}

const MergeTable::Entry* MergeTable::find(int32_t left, int32_t right) const {
  const uint64_t key = pair_key(uint32_t(left), uint32_t(right));
  for (size_t slot = (key * kFactor) >> shift_;; slot = (slot + 1) & (entries_.size() - 1)) {
    if (entries_[slot].pair == key) return &entries_[slot];
    if (entries_[slot].pair == kFree) return nullptr;
  }
}

Neighbours::Neighbours(const TokenTable& tokens) {
  std::vector<uint64_t> pairs;
  for (uint32_t id = 0; id < tokens.id_end(); ++id) {
    const std::string_view text = tokens.text(int32_t(id)).value_or("");
    for (size_t at = 0; at < text.size();) {
      const char32_t left = code_point(text.data() + at);
      at += utf8_length(text[at]);
      if (at == text.size()) break;
      const char32_t right = code_point(text.data() + at);
      if (left < 128 && right < 128) ascii_[left][right] = true;
      else pairs.push_back(pair_key(left, right));
    }
  }
  others_.assign(std::bit_ceil(2 * pairs.size() + 2), kFree);
  const size_t mask = others_.size() - 1;
  for (const uint64_t pair : pairs) {
    size_t slot = (pair * kFactor) >> 32 & mask;
    while (others_[slot] != kFree && others_[slot] != pair) slot = (slot + 1) & mask;
    others_[slot] = pair;
  }
}

bool Neighbours::hold(char32_t left, char32_t right) const {
  if (left < 128 && right < 128) return ascii_[left][right];
  const uint64_t pair = pair_key(left, right);
  const size_t mask = others_.size() - 1;
  for (size_t slot = (pair * kFactor) >> 32 & mask; others_[slot] != kFree; slot = (slot + 1) & mask)
    if (others_[slot] == pair) return true;
  return false;
}

Bpe::Bpe(std::shared_ptr<const TokenTable> tokens, const std::vector<Merge>& merges, const BpeOptions& options,
         std::string where)
    : tokens_(std::move(tokens)), options_(options), where_(std::move(where)), merges_(merges) {
  add_characters();
  add_byte_tokens();
  if (!options_.byte_level && !options_.ignore_merges && !merges_byte_or_unk(merges)) neighbours_.emplace(*tokens_);
}

void Bpe::add_characters() {
  characters_.assign(kDirect, -1);
  for (uint32_t id = 0; id < tokens_->id_end(); ++id) {
    const auto text = tokens_->text(int32_t(id));
    if (!text || text->empty() || utf8_length(text->front()) != text->size()) continue;
    if (const char32_t c = code_point(text->data()); c < kDirect) characters_[c] = int32_t(id);
  }
}

// The id of a character that is a token; -1: none.
int32_t Bpe::initial(char32_t c) const {
  if (c < kDirect) return characters_[c];
  std::string text;
  append_utf8(text, c);
  return tokens_->find(text).value_or(-1);
}

void Bpe::add_byte_tokens() {
  all_bytes_ = options_.byte_fallback;
  for (size_t byte = 0; byte < bytes_.size(); ++byte) {
    bytes_[byte] = tokens_->find(fmt::format("<0x{:02X}>", byte)).value_or(-1);
    all_bytes_ &= bytes_[byte] >= 0;
  }
}

bool Bpe::merges_byte_or_unk(const std::vector<Merge>& merges) const {
  std::vector<bool> special(tokens_->id_end());
  if (options_.unk) special[size_t(*options_.unk)] = true;
  for (const int32_t id : bytes_)
    if (options_.byte_fallback && id >= 0) special[size_t(id)] = true;
  for (const Merge& merge : merges)
    if (special[size_t(merge.left)] || special[size_t(merge.right)]) return true;
  return false;
}

bool Bpe::parts(char32_t left, char32_t right) const {
  return neighbours_ && !neighbours_->hold(left, right) && covered(left) && covered(right);
}

// Where the word ends that begins at begin: before the first boundary that no merge goes over.
size_t Bpe::word_end(std::string_view piece, size_t begin) const {
  if (!neighbours_) return piece.size();
  size_t at = begin + utf8_length(piece[begin]);
  char32_t left = code_point(piece.data() + begin);
  while (at < piece.size()) {
    const char32_t right = code_point(piece.data() + at);
    if (parts(left, right)) break;
    left = right;
    at += utf8_length(piece[at]);
  }
  return at;
}

void Bpe::encode(std::string_view piece, BpeWorkspace& workspace, std::vector<int32_t>& ids) const {
  for (size_t begin = 0; begin < piece.size();) {
    const size_t end = word_end(piece, begin);
    encode_word(piece.substr(begin, end - begin), workspace, ids);
    begin = end;
  }
}

void Bpe::encode(std::string_view piece, std::vector<Symbol>& symbols) const {
  for (size_t begin = 0; begin < piece.size();) {
    const size_t end = word_end(piece, begin);
    append_word(piece.substr(begin, end - begin), symbols);
    begin = end;
  }
}

void Bpe::encode_word(std::string_view word, BpeWorkspace& workspace, std::vector<int32_t>& ids) const {
  const bool is_short = word.size() <= BpeWorkspace::kMostBytes;
  BpeWorkspace::Slot* slot = is_short ? &workspace.slots[slot_of(word)] : nullptr;
  if (is_short && slot->bytes == word.size() && std::memcmp(slot->word, word.data(), word.size()) == 0) {
    ids.insert(ids.end(), slot->id, slot->id + slot->ids);
    return;
  }
  std::vector<Symbol>& symbols = workspace.symbols;
  symbols.clear();
  append_word(word, symbols);
  for (const Symbol& symbol : symbols) ids.push_back(symbol.id);
  if (!is_short || symbols.size() > BpeWorkspace::kMostIds) return;
  slot->bytes = uint8_t(word.size());
  slot->ids = uint8_t(symbols.size());
  std::memcpy(slot->word, word.data(), word.size());
  for (size_t i = 0; i < symbols.size(); ++i) slot->id[i] = symbols[i].id;
}

void Bpe::append_word(std::string_view word, std::vector<Symbol>& symbols) const {
  if (options_.ignore_merges) {
    const auto id = options_.byte_level ? tokens_->find(to_byte_level(word)) : tokens_->find(word);
    if (id) {
      symbols.push_back({*id, uint32_t(word.size())});
      return;
    }
  }
  const size_t first = symbols.size();
  append_symbols(word, symbols);
  if (symbols.size() - first <= kLongWord) merge_short(symbols, first);
  else merge_long(symbols, first);
}

// The symbols of the characters. One that is unk waits until a token follows, as in the reference, so that the bytes of
// byte_fallback overtake it.
void Bpe::append_symbols(std::string_view word, std::vector<Symbol>& symbols) const {
  std::optional<Symbol> unk;
  const auto flush = [&] {
    if (unk) symbols.push_back(*unk);
    unk.reset();
  };
  std::string mapped;
  for (size_t at = 0; at < word.size();) {
    const size_t length = options_.byte_level ? 1 : utf8_length(word[at]);
    const char32_t c = options_.byte_level ? byte_character(uint8_t(word[at])) : code_point(word.data() + at);
    at += length;
    if (const int32_t id = initial(c); id >= 0) {
      flush();
      symbols.push_back({id, uint32_t(length)});
      continue;
    }
    mapped.clear();
    append_utf8(mapped, c);
    if (options_.byte_fallback && append_bytes(mapped, uint32_t(length), symbols)) continue;
    if (!options_.unk)
      fail(Exit::input, where_,
           "the text has U+{:04X}, which this tokenizer has neither as a token nor as bytes nor unk_token for",
           uint32_t(c));
    if (unk && options_.fuse_unk) {
      unk->length += uint32_t(length);
    } else {
      flush();
      unk = {*options_.unk, uint32_t(length)};
    }
  }
  flush();
}

// The <0xNN> of a character's bytes; false if one is missing. length: bytes of the piece that the character stands for.
bool Bpe::append_bytes(std::string_view character, uint32_t length, std::vector<Symbol>& symbols) const {
  for (const char byte : character)
    if (bytes_[uint8_t(byte)] < 0) return false;
  for (size_t i = 0; i < character.size(); ++i)
    symbols.push_back({bytes_[uint8_t(character[i])], i < length ? 1u : 0u});
  return true;
}

void Bpe::merge_short(std::vector<Symbol>& symbols, size_t first) const {
  constexpr uint32_t kNone = UINT32_MAX;
  std::array<uint32_t, kLongWord> ranks;  // for each symbol and its right neighbour
  std::array<int32_t, kLongWord> results;
  Symbol* s = symbols.data() + first;
  size_t count = symbols.size() - first;
  const auto look = [&](size_t i) {
    const MergeTable::Entry* entry = i + 1 < count ? merges_.find(s[i].id, s[i + 1].id) : nullptr;
    ranks[i] = entry == nullptr ? kNone : entry->rank;
    if (entry != nullptr) results[i] = entry->result;
  };
  for (size_t i = 0; i < count; ++i) look(i);
  while (count > 1) {
    size_t best = 0;
    for (size_t i = 1; i + 1 < count; ++i)
      if (ranks[i] < ranks[best]) best = i;
    if (ranks[best] == kNone) break;
    s[best] = {results[best], s[best].length + s[best + 1].length};
    --count;
    for (size_t i = best + 1; i < count; ++i) {
      s[i] = s[i + 1];
      ranks[i] = ranks[i + 1];
      results[i] = results[i + 1];
    }
    look(best);
    if (best > 0) look(best - 1);
  }
  symbols.resize(first + count);
}

void Bpe::merge_long(std::vector<Symbol>& symbols, size_t first) const {
  constexpr size_t kEnd = SIZE_MAX;
  struct Candidate {
    uint32_t rank;
    size_t at;
    int32_t left, right, result;
    bool operator<(const Candidate& other) const {  // the top of the queue is the greatest
      return rank != other.rank ? rank > other.rank : at > other.at;
    }
  };
  Symbol* s = symbols.data() + first;
  const size_t count = symbols.size() - first;
  std::vector<size_t> previous(count), next(count);
  std::vector<Candidate> candidates;
  const auto candidate = [&](size_t left) -> std::optional<Candidate> {
    if (left == kEnd || next[left] == kEnd) return {};
    const int32_t l = s[left].id, r = s[next[left]].id;
    const MergeTable::Entry* entry = merges_.find(l, r);
    return entry == nullptr ? std::nullopt : std::optional(Candidate{entry->rank, left, l, r, entry->result});
  };
  for (size_t i = 0; i < count; ++i) {
    previous[i] = i == 0 ? kEnd : i - 1;
    next[i] = i + 1 == count ? kEnd : i + 1;
  }
  for (size_t i = 0; i < count; ++i)
    if (const auto c = candidate(i)) candidates.push_back(*c);
  std::priority_queue<Candidate> queue({}, std::move(candidates));
  while (!queue.empty()) {
    const Candidate top = queue.top();
    queue.pop();
    const size_t right = next[top.at];
    if (s[top.at].id != top.left || right == kEnd || s[right].id != top.right) continue;  // merged since
    s[top.at] = {top.result, s[top.at].length + s[right].length};
    s[right].id = -1;
    next[top.at] = next[right];
    if (next[right] != kEnd) previous[next[right]] = top.at;
    for (const size_t left : {previous[top.at], top.at})
      if (const auto c = candidate(left)) queue.push(*c);
  }
  size_t out = 0;
  for (size_t i = 0; i != kEnd; i = next[i]) s[out++] = s[i];
  symbols.resize(first + out);
}

}  // namespace tandem
