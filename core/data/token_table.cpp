#include "core/data/token_table.h"

#include <bit>
#include <functional>

namespace tandem {

namespace {

uint32_t hash_of(std::string_view text) {
  return uint32_t(std::hash<std::string_view>()(text));
}

}  // namespace

TokenTable::TokenTable(size_t tokens) : slots_(std::bit_ceil(2 * tokens + 2)) {}

// Where the text's id stands, or could.
size_t TokenTable::slot_of(std::string_view wanted, uint32_t hash) const {
  const size_t mask = slots_.size() - 1;
  size_t slot = hash & mask;
  while (slots_[slot].id >= 0 && (slots_[slot].hash != hash || text(slots_[slot].id) != wanted))
    slot = (slot + 1) & mask;
  return slot;
}

void TokenTable::grow() {
  slots_.assign(2 * slots_.size(), {});
  for (size_t id = 0; id < texts_.size(); ++id) {
    if (!texts_[id].there) continue;
    const std::string_view text = *this->text(int32_t(id));
    slots_[slot_of(text, hash_of(text))] = {hash_of(text), int32_t(id)};
  }
}

bool TokenTable::add(std::string_view text, int32_t id) {
  if (2 * (size_ + 1) > slots_.size()) grow();
  const uint32_t hash = hash_of(text);
  const size_t slot = slot_of(text, hash);
  if (slots_[slot].id >= 0 || this->text(id)) return false;
  if (texts_.size() <= size_t(id)) texts_.resize(size_t(id) + 1);
  texts_[size_t(id)] = {bytes_.size(), uint32_t(text.size()), true};
  bytes_ += text;
  slots_[slot] = {hash, id};
  ++size_;
  return true;
}

std::optional<int32_t> TokenTable::find(std::string_view text) const {
  const int32_t id = slots_[slot_of(text, hash_of(text))].id;
  return id < 0 ? std::nullopt : std::optional(id);
}

std::optional<std::string_view> TokenTable::text(int32_t id) const {
  if (id < 0 || size_t(id) >= texts_.size() || !texts_[size_t(id)].there) return {};
  const Text& text = texts_[size_t(id)];
  return std::string_view(bytes_).substr(text.begin, text.length);
}

}  // namespace tandem
