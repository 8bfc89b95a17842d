#include "core/data/pack_plan.h"

#include <algorithm>
#include <cstdio>
#include <cstring>

#include "core/base/file.h"
#include "core/base/hash.h"

namespace tandem {
namespace {

constexpr std::string_view kMagic = "TDMPACK1";
constexpr uint64_t kHead = 64;  // bytes

struct Head {
  char magic[8];
  uint64_t documents_hash, rest_hash, documents, pieces, windows;
  uint32_t sequence_length;
  uint32_t zeros[3];
};
static_assert(sizeof(Head) == kHead);

uint64_t hash_of(std::span<const std::byte> bytes) {
  Xxh3 hash;
  hash.update(bytes);
  return hash.digest();
}

// The free places of windows 0, 1, ..., as a tree whose nodes hold the most that any window below has.
class FreePlaces {
 public:
  explicit FreePlaces(uint32_t all) : all_(all), most_(2, all) {}

  // Takes places of the first window that has as many; returns its number.
  uint64_t take(uint32_t places) {
    if (most_[1] < places) grow();
    uint64_t node = 1;
    while (node < leaves()) node = 2 * node + (most_[2 * node] < places ? 1 : 0);
    const uint64_t window = node - leaves();
    most_[node] -= places;
    while ((node /= 2) > 0) most_[node] = std::max(most_[2 * node], most_[2 * node + 1]);
    return window;
  }

 private:
  uint64_t leaves() const { return most_.size() / 2; }

  // Twice the windows; the new ones are empty.
  void grow() {
    std::vector<uint32_t> wider(2 * most_.size(), all_);
    std::copy_n(most_.begin() + std::ptrdiff_t(leaves()), leaves(), wider.begin() + std::ptrdiff_t(2 * leaves()));
    most_ = std::move(wider);
    for (uint64_t node = leaves() - 1; node > 0; --node) most_[node] = std::max(most_[2 * node], most_[2 * node + 1]);
  }

  uint32_t all_;
  std::vector<uint32_t> most_;  // node 1 is the root, 2n and 2n + 1 stand below n, the leaves last
};

// True if the plan's windows, pieces and places are in range; a file may hold anything.
bool is_sound(const PackPlan& plan, uint64_t tokens, uint32_t sequence_length) {
  const uint64_t pieces = plan.first.size();
  if (plan.windows.front() != 0 || plan.windows.back() != pieces) return false;
  for (uint64_t w = 0; w + 1 < plan.windows.size(); ++w) {
    if (plan.windows[w] >= plan.windows[w + 1] || plan.windows[w + 1] > pieces) return false;
    uint64_t places = 0;
    for (uint64_t p = plan.windows[w]; p < plan.windows[w + 1]; ++p) {
      if (plan.places[p] == 0 || plan.first[p] >= tokens || plan.places[p] >= tokens - plan.first[p]) return false;
      places += plan.places[p];
    }
    if (places > sequence_length) return false;
  }
  return true;
}

template <typename T>
void append(std::vector<std::byte>& to, const std::vector<T>& values) {
  const auto bytes = std::as_bytes(std::span(values));
  to.insert(to.end(), bytes.begin(), bytes.end());
}

template <typename T>
std::vector<T> take(std::span<const std::byte>& from, uint64_t count) {
  std::vector<T> values(count);
  if (count > 0) std::memcpy(values.data(), from.data(), count * sizeof(T));  // data() of no values may be null
  from = from.subspan(count * sizeof(T));
  return values;
}

}  // namespace

PackPlan make_pack_plan(const Documents& documents, uint32_t sequence_length) {
  PackPlan plan;
  std::vector<uint64_t> first, window;  // in the file's order
  std::vector<uint32_t> places;
  FreePlaces room(sequence_length);
  for (uint64_t d = 0; d < documents.count(); ++d) {
    const uint64_t last = documents.start(d + 1) - 1;
    for (uint64_t token = documents.start(d); token < last; token += sequence_length) {
      first.push_back(token);
      places.push_back(uint32_t(std::min<uint64_t>(sequence_length, last - token)));
      window.push_back(room.take(places.back()));
    }
  }
  const uint64_t windows = window.empty() ? 0 : *std::max_element(window.begin(), window.end()) + 1;
  plan.windows.resize(windows + 1);
  for (const uint64_t w : window) ++plan.windows[w + 1];
  for (uint64_t w = 0; w < windows; ++w) plan.windows[w + 1] += plan.windows[w];
  std::vector<uint64_t> next(plan.windows.begin(), plan.windows.end() - 1);
  plan.first.resize(first.size());
  plan.places.resize(first.size());
  for (uint64_t i = 0; i < first.size(); ++i) {
    const uint64_t p = next[window[i]]++;
    plan.first[p] = first[i];
    plan.places[p] = places[i];
  }
  return plan;
}

std::vector<std::byte> pack_plan_bytes(const PackPlan& plan, const Documents& documents, uint32_t sequence_length) {
  std::vector<std::byte> bytes(kHead);
  append(bytes, plan.windows);
  append(bytes, plan.first);
  append(bytes, plan.places);
  Head head{.documents_hash = documents.hash(),
            .rest_hash = hash_of(std::span(bytes).subspan(kHead)),
            .documents = documents.count(),
            .pieces = plan.first.size(),
            .windows = plan.window_count(),
            .sequence_length = sequence_length};
  std::memcpy(head.magic, kMagic.data(), kMagic.size());
  std::memcpy(bytes.data(), &head, kHead);
  return bytes;
}

std::optional<PackPlan> read_pack_plan(std::span<const std::byte> bytes, const Documents& documents,
                                       uint32_t sequence_length) {
  Head head{};
  if (bytes.size() < kHead) return {};
  std::memcpy(&head, bytes.data(), kHead);
  bytes = bytes.subspan(kHead);
  const uint64_t most = bytes.size();  // keeps the sum below from wrapping round
  if (std::string_view(head.magic, 8) != kMagic || head.sequence_length != sequence_length ||
      head.documents != documents.count() || head.zeros[0] != 0 || head.zeros[1] != 0 || head.zeros[2] != 0 ||
      head.windows > most || head.pieces > most ||
      bytes.size() != 8 * (head.windows + 1) + 8 * head.pieces + 4 * head.pieces ||
      head.documents_hash != documents.hash() || head.rest_hash != hash_of(bytes))
    return {};
  PackPlan plan;
  plan.windows = take<uint64_t>(bytes, head.windows + 1);
  plan.first = take<uint64_t>(bytes, head.pieces);
  plan.places = take<uint32_t>(bytes, head.pieces);
  if (!is_sound(plan, documents.start(documents.count()), sequence_length)) return {};
  return plan;
}

PackPlan pack_plan_of(const std::string& tokens, const Documents& documents, uint32_t sequence_length) {
  const std::string path = fmt::format("{}.pack-{}", tokens, sequence_length);
  try {
    const MappedFile file(path);
    if (auto plan = read_pack_plan(file.bytes(), documents, sequence_length)) return std::move(*plan);
  } catch (const Error&) {  // not there
  }
  PackPlan plan = make_pack_plan(documents, sequence_length);
  const std::vector<std::byte> bytes = pack_plan_bytes(plan, documents, sequence_length);
  try {
    replace_file(path, {reinterpret_cast<const char*>(bytes.data()), bytes.size()});
  } catch (const Error&) {  // a place that cannot be written; the plan is made again next time
    std::remove(beside(path).c_str());
  }
  return plan;
}

}  // namespace tandem
