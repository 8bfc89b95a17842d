#include "core/runtime/world.h"

namespace tandem {

std::string describe(const Message& m) {
  std::string text(kMessageNames[size_t(m.kind)]);
  if (!m.label.empty()) text += fmt::format(" '{}'", m.label);
  if (m.bytes > 0) text += fmt::format(" of {} bytes", m.bytes);
  if (m.kind == MessageKind::broadcast) text += fmt::format(" from rank {}", m.root);
  if (m.kind == MessageKind::gather) text += fmt::format(" to rank {}", m.root);
  return text;
}

std::string differ(uint32_t rank_a, const Message& a, uint32_t rank_b, const Message& b) {
  return fmt::format(
      "the ranks have parted: rank {} is at {}, rank {} at {}; ranks of one build and configuration do the same, so "
      "please report it",
      rank_a, describe(a), rank_b, describe(b));
}

void World::check_root(uint32_t root) const {
  TANDEM_CHECK(root < seat_.ranks, "rank {} of {} ranks", root, seat_.ranks);
}

void World::barrier(std::string_view label) {
  meet({.kind = MessageKind::barrier, .label = label}, {}, {});
}

uint32_t World::agree(uint32_t bits, std::string_view label) {
  uint32_t all = 0;
  meet({.kind = MessageKind::agree, .label = label, .bytes = sizeof bits}, std::as_bytes(std::span(&bits, 1)),
       std::as_writable_bytes(std::span(&all, 1)));
  return all;
}

void World::broadcast(MutableBytes data, uint32_t root, std::string_view label) {
  check_root(root);
  meet({.kind = MessageKind::broadcast, .label = label, .bytes = data.size(), .root = root}, data, data);
}

void World::all_gather(Bytes mine, MutableBytes all, std::string_view label) {
  TANDEM_CHECK(all.size() == mine.size() * seat_.ranks, "{} bytes from each of {} ranks into {}", mine.size(),
               seat_.ranks, all.size());
  meet({.kind = MessageKind::all_gather, .label = label, .bytes = mine.size()}, mine, all);
}

void World::all_to_all(Bytes from, MutableBytes to, std::string_view label) {
  TANDEM_CHECK(to.size() == from.size() && from.size() % seat_.ranks == 0, "{} bytes for {} ranks into {}", from.size(),
               seat_.ranks, to.size());
  meet({.kind = MessageKind::all_to_all, .label = label, .bytes = from.size()}, from, to);
}

void World::gather(Bytes mine, MutableBytes all, uint32_t root, std::string_view label) {
  check_root(root);
  const bool is_root = seat_.rank == root;
  TANDEM_CHECK(!is_root || all.size() == mine.size() * seat_.ranks, "{} bytes from each of {} ranks into {}",
               mine.size(), seat_.ranks, all.size());
  meet({.kind = MessageKind::gather, .label = label, .bytes = mine.size(), .root = root}, mine,
       is_root ? all : MutableBytes());
}

}  // namespace tandem
