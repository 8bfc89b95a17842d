#include "core/runtime/exchange.h"

#include <algorithm>
#include <cstring>

namespace tandem {
namespace {

using Items = std::span<const ExchangeItem>;
using Words = std::vector<uint32_t>;

void copy(const std::byte* from, MutableBytes to) {
  if (!to.empty() && from != to.data()) std::memcpy(to.data(), from, to.size());
}

// All bytes from a rank's first part to its last.
Bytes shown_of(const ExchangeItem& item, uint32_t ranks) {
  return {item.from.data(), item.from.size() + (ranks - 1) * item.stride};
}

// Where rank's part is kept in `to`.
MutableBytes place_of(const ExchangeItem& item, uint32_t rank) {
  return item.to.subspan(rank * item.from.size(), item.from.size());
}

void check_item(CollectiveKind kind, const ExchangeItem& item, uint32_t ranks) {
  const bool words = kind == CollectiveKind::all_reduce_max;
  TANDEM_CHECK(item.to.size() == (words ? 1 : ranks) * item.from.size(), "{} takes {} bytes of {} ranks into {}",
               name_of(kind), item.from.size(), ranks, item.to.size());
  TANDEM_CHECK(!words || item.from.size() % sizeof(uint32_t) == 0, "{} bytes are not words", item.from.size());
  TANDEM_CHECK(kind == CollectiveKind::all_to_all || item.stride == 0, "{} has one part per rank", name_of(kind));
}

void raise(Words& words, const std::byte* by) {
  for (size_t i = 0; i < words.size(); ++i, by += sizeof(uint32_t)) {
    uint32_t word = 0;
    std::memcpy(&word, by, sizeof word);
    words[i] = std::max(words[i], word);
  }
}

// The largest words over what the ranks show of an item; they are kept apart until all have read.
Words largest(std::span<const Offer> all, size_t item) {
  Words words(all[0].parts[item].size() / sizeof(uint32_t));
  for (const Offer& offer : all) raise(words, offer.parts[item].data());
  return words;
}

void write_words(const Words& words, MutableBytes to) {
  copy(std::as_bytes(std::span(words)).data(), to);
}

void check_shown(std::span<const Offer> all, std::string_view label) {
  for (const Offer& offer : all)
    for (size_t i = 0; i < all[0].parts.size(); ++i)
      TANDEM_CHECK(offer.parts.size() == all[0].parts.size() && offer.parts[i].size() == all[0].parts[i].size(),
                   "the ranks' parts of {} differ in length", label);
}

// True if the ranks are threads, and all is done.
bool exchange_in_memory(World& world, CollectiveKind kind, std::string_view label, Items items) {
  const uint32_t rank = world.seat().rank, ranks = world.seat().ranks;
  std::vector<Bytes> shown;
  uint64_t bytes = 0;
  for (const ExchangeItem& item : items) shown.push_back(shown_of(item, ranks)), bytes += shown.back().size();
  std::vector<Words> maxima;
  const auto read = [&](std::span<const Offer> all) {
    check_shown(all, label);
    for (size_t i = 0; i < items.size(); ++i)
      if (kind == CollectiveKind::all_reduce_max) maxima.push_back(largest(all, i));
      else
        for (uint32_t p = 0; p < all.size(); ++p)
          copy(all[p].parts[i].data() + rank * items[i].stride, place_of(items[i], p));
  };
  if (!world.visit({{.kind = MessageKind::exchange, .label = label, .bytes = bytes}, shown}, read)) return false;
  for (size_t i = 0; i < maxima.size(); ++i) write_words(maxima[i], items[i].to);
  return true;
}

void all_to_all(World& world, std::string_view label, const ExchangeItem& item) {
  if (item.stride == item.from.size()) return world.all_to_all(shown_of(item, world.seat().ranks), item.to, label);
  std::vector<std::byte> dense(item.to.size());
  for (uint32_t r = 0; r < world.seat().ranks; ++r)
    copy(item.from.data() + r * item.stride, MutableBytes(dense).subspan(r * item.from.size(), item.from.size()));
  world.all_to_all(dense, item.to, label);
}

void all_reduce_max(World& world, std::string_view label, const ExchangeItem& item) {
  std::vector<std::byte> all(item.from.size() * world.seat().ranks);
  world.all_gather(item.from, all, label);
  Words words(item.from.size() / sizeof(uint32_t));
  for (uint32_t r = 0; r < world.seat().ranks; ++r) raise(words, all.data() + r * item.from.size());
  write_words(words, item.to);
}

}  // namespace

void exchange(World& world, CollectiveKind kind, std::string_view label, Items items) {
  for (const ExchangeItem& item : items) check_item(kind, item, world.seat().ranks);
  const std::string name = fmt::format("{} {}", name_of(kind), label);
  if (exchange_in_memory(world, kind, name, items)) return;
  for (const ExchangeItem& item : items) {
    if (kind == CollectiveKind::all_reduce_max) all_reduce_max(world, name, item);
    else if (item.stride == 0) world.all_gather(item.from, item.to, name);
    else all_to_all(world, name, item);
  }
}

void pull(World& world, std::string_view label, Bytes shown, std::span<const Pull> pulls) {
  for (const Pull& p : pulls)
    TANDEM_CHECK(p.rank < world.seat().ranks && p.offset <= shown.size() && p.to.size() <= shown.size() - p.offset,
                 "{} bytes at {} of {} from rank {}", p.to.size(), p.offset, shown.size(), p.rank);
  const std::string name = fmt::format("pull {}", label);
  const auto read = [&](std::span<const Offer> all) {
    for (const Pull& p : pulls) copy(all[p.rank].parts[0].data() + p.offset, p.to);
  };
  if (world.visit({{.kind = MessageKind::exchange, .label = name, .bytes = shown.size()}, {&shown, 1}}, read)) return;
  std::vector<std::byte> all(shown.size() * world.seat().ranks);
  world.all_gather(shown, all, name);
  for (const Pull& p : pulls) copy(all.data() + p.rank * shown.size() + p.offset, p.to);
}

}  // namespace tandem
